#include "ops/rms_norm.h"

#include <memory>

#include "ops/rms_norm_kernels.h"
#include "ops/sum_rows.h"

namespace fusor {
namespace {

// dx: empty if not wanted. dgain: partial sums [1, row blocks, cols], or empty.
void rms_norm_backward(const Tensor& dy, const Tensor& x, const Tensor& gain, const Tensor& inv_rms,
                       const Tensor& dx, bool add, const Tensor& dgain) {
  const Cost cost{.flops = 9.0 * static_cast<double>(x.size()),
                  .bytes = static_cast<double>(x.bytes()) * (add ? 4 : 3)};
  launch(x.device(), "rms_norm_backward", cost, [&](auto device) {
    on_float(x.dtype(), [&]<class T> {
      ops::kernels::rms_norm_backward(device, x.dim(0), x.dim(1), dy.data<T>(), x.data<T>(),
                                      gain.data<T>(), inv_rms.data<acc_t<T>>(),
                                      dx.defined() ? dx.data<T>() : nullptr, add,
                                      dgain.defined() ? dgain.data<acc_t<T>>() : nullptr);
    });
  });
}

}  // namespace

Var rms_norm(const Var& x, const Var& gain, double eps) {
  const Tensor& xv = x.value();
  ops::check_rms_norm(xv, gain);
  Tensor y = empty_like(xv);
  const Tensor inv_rms({xv.dim(0)}, acc_dtype(xv.dtype()), xv.device());
  const Cost cost{.flops = 4.0 * static_cast<double>(y.size()),
                  .bytes = 2.0 * static_cast<double>(y.bytes())};
  launch(y.device(), "rms_norm", cost, [&](auto device) {
    on_float(y.dtype(), [&]<class T> {
      ops::kernels::rms_norm(device, y.dim(0), y.dim(1), eps, xv.data<T>(), gain.value().data<T>(),
                             y.data<T>(), inv_rms.data<acc_t<T>>());
    });
  });
  return ops::record_rms_norm(std::move(y), x, gain, inv_rms);
}

void ops::check_rms_norm(const Tensor& x, const Var& gain) {
  const Tensor& gv = gain.value();
  require(x.rank() == 2 && gv.shape() == Shape{x.dim(1)} && gv.dtype() == x.dtype(), "rms_norm: x ",
          x.shape(), " ", x.dtype(), " but gain ", gv.shape(), " ", gv.dtype());
}

Var ops::record_rms_norm(Tensor y, const Var& x, const Var& gain, const Tensor& inv_rms) {
  const Tensor &xv = x.value(), &gv = gain.value();
  const auto sums = std::make_shared<Tensor>();  // from pull to pull_weights
  Pull pull = [=, dx = x.grad(), wants_gain = gain.grad().wanted()](const Tensor& dy) {
    if (wants_gain) *sums = ops::row_block_sums(xv);
    if (!dx.wanted()) rms_norm_backward(dy, xv, gv, inv_rms, {}, false, *sums);
    dx.accumulate([&](const Tensor& to, bool add) {
      rms_norm_backward(dy, xv, gv, inv_rms, to, add, *sums);
    });
  };
  Pull pull_weights = [sums, dgain = gain.grad()](const Tensor&) {
    dgain.accumulate([&](const Tensor& to, bool add) {
      ops::sum_rows(to, sums->view({sums->dim(1), sums->dim(2)}), add);
    });
    *sums = {};
  };
  return record(std::move(y), {x, gain}, std::move(pull), std::move(pull_weights));
}

}  // namespace fusor
