#pragma once
#include <cudnn_graph.h>

#include <source_location>
#include <string>

// cuDNN, loaded when it is first asked for. Included by sources of the CUDA build alone.
namespace fusor::ops {

// The functions of the library that Fusor calls itself; cudnn-frontend takes its own from `loaded`.
struct Cudnn {
  void* loaded;  // as dlopen gives it
  int version;   // 91900 is 9.19.0
  decltype(&cudnnCreate) create;
  decltype(&cudnnSetStream) set_stream;
  decltype(&cudnnGetErrorString) error_text;

  // Throws Error with the library's own text unless status is success; `what` leads the message.
  void check(cudnnStatus_t status, const std::string& what,
             std::source_location at = std::source_location::current()) const;
};

// The library of this process, loaded by the first call. Throws Error where it is not to be found.
// Any thread may call it.
const Cudnn& cudnn();

// This thread's handle for its GPU, whose calls are queued on `stream` from now on.
cudnnHandle_t cudnn_handle(cudaStream_t stream);

}  // namespace fusor::ops
