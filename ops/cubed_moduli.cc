#include "ops/cubed_moduli.h"

#include "ops/cubed_moduli_kernels.h"

namespace fusor {
namespace {

Cost cubed_cost(const Tensor& x, double passes) {
  return {.flops = 5.0 * static_cast<double>(x.size()),
          .bytes = passes * static_cast<double>(x.bytes())};
}

}  // namespace

Var cubed_moduli(const Var& x, double factor, bool complex) {
  const Tensor& xv = x.value();
  require(xv.rank() == 2 && (!complex || xv.dim(1) % 2 == 0), "cubed_moduli: x ", xv.shape(),
          complex ? " of complex numbers, which take two columns each" : "");
  const ops::kernels::CubedSize size{xv.dim(0), xv.dim(1), factor, complex};
  Tensor loss({1}, DType::f64, xv.device());
  const Tensor of_rows({xv.dim(0)}, DType::f64, xv.device());
  launch(xv.device(), "cubed_moduli", cubed_cost(xv, 1), [&](auto device) {
    on_float(xv.dtype(), [&]<class T> {
      ops::kernels::cubed_moduli(device, size, xv.data<T>(), of_rows.data<double>(),
                                 loss.data<double>());
    });
  });
  return record(std::move(loss), {x}, [=, dx = x.grad()](const Tensor& dloss) {
    dx.accumulate([&](const Tensor& to, bool add) {
      launch(xv.device(), "cubed_moduli_backward", cubed_cost(xv, add ? 3 : 2), [&](auto device) {
        on_float(xv.dtype(), [&]<class T> {
          ops::kernels::cubed_moduli_backward(device, size, dloss.data<double>(), xv.data<T>(),
                                              to.data<T>(), add);
        });
      });
    });
  });
}

}  // namespace fusor
