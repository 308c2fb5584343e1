#include "ops/layer_norm.h"

#include <memory>

#include "ops/layer_norm_kernels.h"
#include "ops/sum_rows.h"

namespace fusor {
namespace {

// What the backward pass reads.
struct Saved {
  Tensor x, gain, mean, rstd;
};

// dx: empty if not wanted. sums: partial sums [2, row blocks, cols] of dgain and dbias, or empty.
void layer_norm_backward(const Tensor& dy, const Saved& s, const Tensor& dx, bool add,
                         const Tensor& sums) {
  const Cost cost{.flops = 14.0 * static_cast<double>(dy.size()),
                  .bytes = static_cast<double>(dy.bytes()) * (add ? 4 : 3)};
  launch(dy.device(), "layer_norm_backward", cost, [&](auto device) {
    on_float(dy.dtype(), [&]<class T> {
      using A = acc_t<T>;
      A* const dgain = sums.defined() ? sums.data<A>() : nullptr;
      A* const dbias = sums.defined() ? sums.rows(1, 2).data<A>() : nullptr;
      ops::kernels::layer_norm_backward(device, dy.dim(0), dy.dim(1), dy.data<T>(), s.x.data<T>(),
                                        s.gain.data<T>(), s.mean.data<A>(), s.rstd.data<A>(),
                                        dx.defined() ? dx.data<T>() : nullptr, add, dgain, dbias);
    });
  });
}

}  // namespace

Var layer_norm(const Var& x, const Var& gain, const Var& bias, double eps) {
  const Tensor& xv = x.value();
  ops::check_layer_norm(xv, gain, bias);
  Tensor y = empty_like(xv);
  const Tensor mean({xv.dim(0)}, acc_dtype(xv.dtype()), xv.device()), rstd = empty_like(mean);
  const Cost cost{.flops = 7.0 * static_cast<double>(y.size()),
                  .bytes = 2.0 * static_cast<double>(y.bytes())};
  launch(y.device(), "layer_norm", cost, [&](auto device) {
    on_float(y.dtype(), [&]<class T> {
      using A = acc_t<T>;
      ops::kernels::layer_norm(device, y.dim(0), y.dim(1), eps, xv.data<T>(),
                               gain.value().data<T>(), bias.value().data<T>(), y.data<T>(),
                               mean.data<A>(), rstd.data<A>());
    });
  });
  return ops::record_layer_norm(std::move(y), x, gain, bias, mean, rstd);
}

void ops::check_layer_norm(const Tensor& x, const Var& gain, const Var& bias) {
  for (const Tensor* p : {&gain.value(), &bias.value()})
    require(x.rank() == 2 && p->shape() == Shape{x.dim(1)} && p->dtype() == x.dtype(),
            "layer_norm: x ", x.shape(), " ", x.dtype(), " but gain or bias ", p->shape(), " ",
            p->dtype());
}

Var ops::record_layer_norm(Tensor y, const Var& x, const Var& gain, const Var& bias,
                           const Tensor& mean, const Tensor& rstd) {
  const Saved s{x.value(), gain.value(), mean, rstd};
  const auto sums = std::make_shared<Tensor>();  // from pull to pull_weights
  const bool wants_sums = gain.grad().wanted() || bias.grad().wanted();
  Pull pull = [=, dx = x.grad()](const Tensor& dy) {
    if (wants_sums) *sums = ops::row_block_sums(s.x, 2);
    if (!dx.wanted()) layer_norm_backward(dy, s, {}, false, *sums);
    dx.accumulate([&](const Tensor& to, bool add) { layer_norm_backward(dy, s, to, add, *sums); });
  };
  Pull pull_weights = [sums, dgain = gain.grad(), dbias = bias.grad()](const Tensor&) {
    const auto total = [&](std::int64_t i) {
      return [&sums, i](const Tensor& to, bool add) {
        ops::sum_rows(to, sums->rows(i, i + 1).view({sums->dim(1), sums->dim(2)}), add);
      };
    };
    dgain.accumulate(total(0));
    dbias.accumulate(total(1));
    *sums = {};
  };
  return record(std::move(y), {x, gain, bias}, std::move(pull), std::move(pull_weights));
}

}  // namespace fusor
