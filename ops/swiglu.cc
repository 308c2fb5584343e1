#include "ops/swiglu.h"

#include "ops/swiglu_kernels.h"

namespace fusor {
namespace {

// `halves`: how many times one half of x moves.
Cost swiglu_cost(const Tensor& y, int halves) {
  return {.flops = 16.0 * static_cast<double>(y.size()),
          .bytes = static_cast<double>(y.bytes()) * halves};
}

}  // namespace

Var swiglu(const Var& x) {
  const Tensor& xv = x.value();
  require(xv.rank() == 2 && xv.dim(1) % 2 == 0, "swiglu: x ", xv.shape(), " is not [rows, 2 cols]");
  Tensor y({xv.dim(0), xv.dim(1) / 2}, xv.dtype(), xv.device());
  launch(y.device(), "swiglu", swiglu_cost(y, 3), [&](auto device) {
    on_float(y.dtype(), [&]<class T> {
      ops::kernels::swiglu(device, y.dim(0), y.dim(1), xv.data<T>(), y.data<T>());
    });
  });
  return record(std::move(y), {x}, [xv, dx = x.grad()](const Tensor& dy) {
    dx.accumulate([&](const Tensor& to, bool add) {
      launch(dy.device(), "swiglu_backward", swiglu_cost(dy, add ? 7 : 5), [&](auto device) {
        on_float(dy.dtype(), [&]<class T> {
          ops::kernels::swiglu_backward(device, dy.dim(0), dy.dim(1), dy.data<T>(), xv.data<T>(),
                                        to.data<T>(), add);
        });
      });
    });
  });
}

}  // namespace fusor
