#include "ops/relu.h"

#include "ops/relu_kernels.h"

namespace fusor {
namespace {

Cost relu_cost(const Tensor& x, int operands) {
  return {.flops = static_cast<double>(x.size()),
          .bytes = static_cast<double>(x.bytes()) * operands};
}

}  // namespace

void ops::relu_backward(const Tensor& dy, const Tensor& y, const Tensor& dx, bool add) {
  launch(dy.device(), "relu_backward", relu_cost(dy, add ? 4 : 3), [&](auto device) {
    on_float(dy.dtype(), [&]<class T> {
      kernels::relu_backward(device, dy.size(), dy.data<T>(), y.data<T>(), dx.data<T>(), add);
    });
  });
}

Var relu(const Var& x) {
  const Tensor& xv = x.value();
  const Tensor y = empty_like(xv);
  launch(y.device(), "relu", relu_cost(y, 2), [&](auto device) {
    on_float(y.dtype(),
             [&]<class T> { ops::kernels::relu(device, y.size(), xv.data<T>(), y.data<T>()); });
  });
  return record(y, {x}, [y, dx = x.grad()](const Tensor& dy) {
    dx.accumulate([&](const Tensor& to, bool add) { ops::relu_backward(dy, y, to, add); });
  });
}

}  // namespace fusor
