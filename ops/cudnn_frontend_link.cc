#include "ops/cudnn_frontend_link.h"

#include <cudnn_frontend.h>

#include <cstdlib>

#include "ops/cudnn.h"
#include "runtime/shared_library.h"

namespace cudnn_frontend {
void* cudnn_dlhandle = nullptr;  // where cudnn-frontend finds cuDNN's functions
}

namespace fusor::ops {
namespace {

// Fusor's own CUDA runtime is linked in. cudnn-frontend loads one to ask for captures with, and
// knows the loader's path alone, so it is told of the file.
void* connect() {
  const SharedLibrary runtime({"libcudart.so." + std::to_string(CUDART_VERSION / 1000),
                               "libcudart.so.13", "libcudart.so.12"});
  ::setenv("CUDNN_FRONTEND_CUDART_LIB_NAME", runtime.file().c_str(), /*overwrite=*/0);
  return cudnn_frontend::cudnn_dlhandle = cudnn().loaded;
}

}  // namespace

void link_cudnn_frontend() { [[maybe_unused]] static void* const found = connect(); }

}  // namespace fusor::ops
