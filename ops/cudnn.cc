#include "ops/cudnn.h"

#include <dlfcn.h>

#include <map>

#include "runtime/cuda.h"
#include "runtime/error.h"
#include "runtime/shared_library.h"

namespace fusor::ops {
namespace {

Cudnn load() {
  const SharedLibrary library({"libcudnn.so.9"});
  Cudnn cudnn{};
  cudnn.loaded =
      ::dlopen(library.file().c_str(), RTLD_NOW | RTLD_LOCAL);  // once more: the same one
  require(cudnn.loaded, library.file(), " cannot be loaded again");
  cudnn.version = static_cast<int>(library.function<std::size_t()>("cudnnGetVersion")());
  cudnn.create = library.function<decltype(cudnnCreate)>("cudnnCreate");
  cudnn.set_stream = library.function<decltype(cudnnSetStream)>("cudnnSetStream");
  cudnn.error_text = library.function<decltype(cudnnGetErrorString)>("cudnnGetErrorString");
  return cudnn;
}

}  // namespace

void Cudnn::check(cudnnStatus_t status, const std::string& what, std::source_location at) const {
  if (status != CUDNN_STATUS_SUCCESS) raise(what + ": " + error_text(status), at);
}

const Cudnn& cudnn() {
  static const Cudnn library = load();
  return library;
}

cudnnHandle_t cudnn_handle(cudaStream_t stream) {
  // Never destroyed: when a thread ends, its GPU's context may be gone.
  thread_local std::map<int, cudnnHandle_t> handles;
  int gpu = 0;
  check_cuda(cudaGetDevice(&gpu), "cudaGetDevice");
  const auto [handle, is_new] = handles.try_emplace(gpu);
  if (is_new) cudnn().check(cudnn().create(&handle->second), "cudnnCreate");
  cudnn().check(cudnn().set_stream(handle->second, stream), "cudnnSetStream");
  return handle->second;
}

}  // namespace fusor::ops
