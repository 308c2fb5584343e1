#include "ops/gemm_library.h"
#include "ops/matrix_products.h"
#include "runtime/cuda.h"

namespace fusor::ops::kernels {
namespace {

// Those of the GPU that is this thread's now. Never destroyed: at exit the driver may be gone.
MatrixProducts& products() {
  static std::mutex mutex;
  static auto& of_gpu = *new std::map<int, MatrixProducts>;
  int gpu = 0, major = 0;
  check_cuda(cudaGetDevice(&gpu), "cudaGetDevice");
  const std::scoped_lock lock(mutex);
  if (const auto found = of_gpu.find(gpu); found != of_gpu.end()) return found->second;
  check_cuda(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, gpu),
             "cudaDeviceGetAttribute");
  // Elsewhere the library's GELU epilogues are slower than a kernel of their own.
  const bool fuse_gelu = major == 9 || major == 10;  // Hopper, and Blackwell of data centres
  return of_gpu.try_emplace(gpu, cublas_lt(), fuse_gelu).first->second;
}

std::byte* aligned(std::byte* p) {
  const auto beyond = reinterpret_cast<std::uintptr_t>(p) % kWorkspaceAlignment;
  return beyond ? p + (kWorkspaceAlignment - beyond) : p;
}

}  // namespace

std::size_t library::workspace() { return kWorkspaceBytes + kWorkspaceAlignment; }

bool library::fuses(const GemmCall& call, const GemmOperands& o) {
  return products().fuses(call, o);
}

void library::product(Cuda on, const GemmCall& call, const GemmOperands& operands) {
  GemmOperands o = operands;
  o.workspace = aligned(o.workspace);
  products().run(call, o, on.stream);
}

}  // namespace fusor::ops::kernels
