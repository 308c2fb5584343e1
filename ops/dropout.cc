#include "ops/dropout.h"

#include "ops/add.h"
#include "ops/dropout_kernels.h"

namespace fusor {
namespace {

// Which elements of a [rows, cols] are dropped.
struct Mask {
  double p;
  StepKey key;
  RowMap map;
};

void check_dropout(const Tensor& x, double p, const StepKey& key) {
  require(0 <= p && p < 1, "dropout: p = ", p, " is not in [0, 1)");
  require(x.rank() == 2, "dropout: x ", x.shape(), " is not [rows, cols]");
  require(p == 0 || (key.step.defined() && key.step.size() == 1),
          "dropout: the step is no i64 [1]");
}

// y = base + x keep / (1 - p); base may be empty, or y itself.
void apply(const Mask& mask, const Tensor& base, const Tensor& x, const Tensor& y) {
  const Cost cost{.flops = 2.0 * static_cast<double>(x.size()),
                  .bytes = static_cast<double>(x.bytes()) * (base.defined() ? 3 : 2)};
  launch(x.device(), "dropout", cost, [&](auto device) {
    on_float(x.dtype(), [&]<class T> {
      ops::kernels::dropout(
          device, x.size(), base.defined() ? base.data<T>() : nullptr, x.data<T>(),
          ops::kernels::dropout_mask(mask.p, mask.key, mask.map, x.dim(1)), y.data<T>());
    });
  });
}

void backward(const Mask& mask, const Tensor& dy, const Grad& dx) {
  dx.accumulate([&](const Tensor& to, bool add) { apply(mask, add ? to : Tensor(), dy, to); });
}

}  // namespace

Var dropout(const Var& x, double p, const StepKey& key, const RowMap& map) {
  check_dropout(x.value(), p, key);
  if (p == 0) return x;
  const Mask mask{p, key, map};
  Tensor y = empty_like(x.value());
  apply(mask, {}, x.value(), y);
  return record(std::move(y), {x},
                [mask, dx = x.grad()](const Tensor& dy) { backward(mask, dy, dx); });
}

Var dropout_add(const Var& residual, const Var& x, double p, const StepKey& key,
                const RowMap& map) {
  ops::check_dropout_add(residual, x, p, key);
  if (p == 0) return add(residual, x);
  Tensor y = empty_like(residual.value());
  apply({p, key, map}, residual.value(), x.value(), y);
  return ops::record_dropout_add(std::move(y), residual, x, p, key, map);
}

void ops::check_dropout_add(const Var& residual, const Var& x, double p, const StepKey& key) {
  check_dropout(x.value(), p, key);
  const Tensor& base = residual.value();
  require(base.shape() == x.shape() && base.dtype() == x.value().dtype(), "dropout_add: residual ",
          base.shape(), " ", base.dtype(), " but x ", x.shape(), " ", x.value().dtype());
}

Var ops::record_dropout_add(Tensor sum, const Var& residual, const Var& x, double p,
                            const StepKey& key, const RowMap& map) {
  return record(
      std::move(sum), {residual, x},
      [mask = Mask{p, key, map}, dresidual = residual.grad(), dx = x.grad()](const Tensor& dy) {
        dresidual.pass(dy);
        mask.p > 0 ? backward(mask, dy, dx) : dx.pass(dy);
      });
}

}  // namespace fusor
