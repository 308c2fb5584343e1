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

Mask mask_of(const Tensor& x, double p, const StepKey& key, const RowMap& map) {
  require(0 <= p && p < 1, "dropout: p = ", p, " is not in [0, 1)");
  require(x.rank() == 2, "dropout: x ", x.shape(), " is not [rows, cols]");
  require(p == 0 || (key.step.defined() && key.step.size() == 1),
          "dropout: the step is no i64 [1]");
  return {p, key, map};
}

// y = base + x keep / (1 - p); base may be empty, or y itself.
void apply(const Mask& mask, const Tensor& base, const Tensor& x, const Tensor& y) {
  const Cost cost{.flops = 2.0 * static_cast<double>(x.size()),
                  .bytes = static_cast<double>(x.bytes()) * (base.defined() ? 3 : 2)};
  launch(x.device(), "dropout", cost, [&](auto device) {
    on_float(x.dtype(), [&]<class T> {
      ops::kernels::dropout(
          device, x.size(), base.defined() ? base.data<T>() : nullptr, x.data<T>(),
          {mask.p, mask.key.stem, mask.key.step.data<std::int64_t>(), mask.map, x.dim(1)},
          y.data<T>());
    });
  });
}

void backward(const Mask& mask, const Tensor& dy, const Grad& dx) {
  dx.accumulate([&](const Tensor& to, bool add) { apply(mask, add ? to : Tensor(), dy, to); });
}

}  // namespace

Var dropout(const Var& x, double p, const StepKey& key, const RowMap& map) {
  const Mask mask = mask_of(x.value(), p, key, map);
  if (p == 0) return x;
  Tensor y = empty_like(x.value());
  apply(mask, {}, x.value(), y);
  return record(std::move(y), {x},
                [mask, dx = x.grad()](const Tensor& dy) { backward(mask, dy, dx); });
}

Var dropout_add(const Var& residual, const Var& x, double p, const StepKey& key,
                const RowMap& map) {
  const Mask mask = mask_of(x.value(), p, key, map);
  if (p == 0) return add(residual, x);
  const Tensor& base = residual.value();
  require(base.shape() == x.shape() && base.dtype() == x.value().dtype(), "dropout_add: residual ",
          base.shape(), " ", base.dtype(), " but x ", x.shape(), " ", x.value().dtype());
  Tensor y = empty_like(base);
  apply(mask, base, x.value(), y);
  return record(std::move(y), {residual, x},
                [mask, dresidual = residual.grad(), dx = x.grad()](const Tensor& dy) {
                  dresidual.pass(dy);
                  backward(mask, dy, dx);
                });
}

}  // namespace fusor
