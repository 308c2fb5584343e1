#include "ops/gelu_kernels.h"
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

// The product, then the epilogue as a kernel of its own.
template <class T>
void in_two(Cuda on, MatrixProducts& by, const GemmCall& call, const GemmOperands& o) {
  GemmCall product = call;
  product.epilogue = Epilogue::none;
  GemmOperands to = o;
  if (call.epilogue == Epilogue::gelu_aux) to.c = o.aux;
  by.run(product, to, on.stream);
  auto *c = reinterpret_cast<T*>(o.c), *aux = reinterpret_cast<T*>(o.aux);
  if (call.epilogue == Epilogue::dgelu) return gelu_backward(on, call.m * call.k, c, aux, c, false);
  gelu(on, call.m * call.n, reinterpret_cast<const T*>(to.c), c);
}

}  // namespace

std::size_t gemm_workspace(Cuda, const GemmCall&) { return kWorkspaceBytes + kWorkspaceAlignment; }

void gemm(Cuda on, const GemmCall& call, const GemmOperands& operands) {
  MatrixProducts& by = products();
  GemmOperands o = operands;
  o.workspace = aligned(o.workspace);
  if (call.epilogue == Epilogue::none || by.fuses(call, o)) return by.run(call, o, on.stream);
  on_float(call.dtype, [&]<class T> { in_two<T>(on, by, call, o); });
}

}  // namespace fusor::ops::kernels
