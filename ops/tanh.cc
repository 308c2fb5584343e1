#include "ops/tanh.h"

#include "ops/tanh_kernels.h"

namespace fusor {
namespace {

Cost tanh_cost(const Tensor& x, int operands) {
  return {.flops = 10.0 * static_cast<double>(x.size()),
          .bytes = static_cast<double>(x.bytes()) * operands};
}

}  // namespace

Var tanh(const Var& x) {
  const Tensor& xv = x.value();
  Tensor y = empty_like(xv);
  launch(y.device(), "tanh", tanh_cost(y, 2), [&](auto device) {
    on_float(y.dtype(),
             [&]<class T> { ops::kernels::tanh(device, y.size(), xv.data<T>(), y.data<T>()); });
  });
  return record(y, {x}, [y, dx = x.grad()](const Tensor& dy) {
    dx.accumulate([&](const Tensor& to, bool add) {
      launch(dy.device(), "tanh_backward", tanh_cost(dy, add ? 4 : 3), [&](auto device) {
        on_float(dy.dtype(), [&]<class T> {
          ops::kernels::tanh_backward(device, dy.size(), dy.data<T>(), y.data<T>(), to.data<T>(),
                                      add);
        });
      });
    });
  });
}

}  // namespace fusor
