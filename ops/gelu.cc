#include "ops/gelu.h"

#include "ops/gelu_kernels.h"

namespace fusor {
namespace {

Cost gelu_cost(const Tensor& x, int operands) {
  return {.flops = 20.0 * static_cast<double>(x.size()),
          .bytes = static_cast<double>(x.bytes()) * operands};
}

}  // namespace

void ops::gelu(const Tensor& x, const Tensor& y, GeluForm form) {
  launch(y.device(), "gelu", gelu_cost(y, 2), [&](auto device) {
    on_float(y.dtype(),
             [&]<class T> { kernels::gelu(device, y.size(), x.data<T>(), y.data<T>(), form); });
  });
}

void ops::gelu_backward(const Tensor& dy, const Tensor& x, const Tensor& dx, bool add,
                        GeluForm form) {
  launch(dy.device(), "gelu_backward", gelu_cost(dy, add ? 4 : 3), [&](auto device) {
    on_float(dy.dtype(), [&]<class T> {
      kernels::gelu_backward(device, dy.size(), dy.data<T>(), x.data<T>(), dx.data<T>(), add, form);
    });
  });
}

Var gelu(const Var& x, GeluForm form) {
  const Tensor& xv = x.value();
  Tensor y = empty_like(xv);
  ops::gelu(xv, y, form);
  return record(std::move(y), {x}, [xv, form, dx = x.grad()](const Tensor& dy) {
    dx.accumulate([&](const Tensor& to, bool add) { ops::gelu_backward(dy, xv, to, add, form); });
  });
}

}  // namespace fusor
