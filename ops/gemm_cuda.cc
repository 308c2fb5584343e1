#include "ops/gelu_kernels.h"
#include "ops/gemm_library.h"

namespace fusor::ops::kernels {
namespace {

// The product, then the epilogue as a kernel of its own.
template <class T>
void in_two(Cuda on, const GemmCall& call, const GemmOperands& o) {
  GemmCall product = call;
  product.epilogue = Epilogue::none;
  GemmOperands to = o;
  if (call.epilogue == Epilogue::gelu_aux) to.c = o.aux;
  library::product(on, product, to);
  auto *c = reinterpret_cast<T*>(o.c), *aux = reinterpret_cast<T*>(o.aux);
  if (call.epilogue == Epilogue::dgelu)
    return gelu_backward(on, call.m * call.k, c, aux, c, false, GeluForm::tanh);
  gelu(on, call.m * call.n, reinterpret_cast<const T*>(to.c), c, GeluForm::tanh);
}

}  // namespace

std::size_t gemm_workspace(Cuda, const GemmCall&) { return library::workspace(); }

void gemm(Cuda on, const GemmCall& call, const GemmOperands& o) {
  if (call.epilogue == Epilogue::none || library::fuses(call, o))
    return library::product(on, call, o);
  on_float(call.dtype, [&]<class T> { in_two<T>(on, call, o); });
}

}  // namespace fusor::ops::kernels
