#include "ops/drop_path.h"

#include "ops/add.h"
#include "ops/drop_path_kernels.h"

namespace fusor {
namespace {

struct Path {
  double p;
  StepKey key;
  RowMap map;
};

// y = base + x keep / (1 - p); base may be empty, or y itself.
void apply(const Path& path, const Tensor& base, const Tensor& x, const Tensor& y) {
  const Cost cost{.flops = 2.0 * static_cast<double>(x.size()),
                  .bytes = static_cast<double>(x.bytes()) * (base.defined() ? 3 : 2)};
  launch(x.device(), "drop_path", cost, [&](auto device) {
    on_float(x.dtype(), [&]<class T> {
      const auto* step = path.key.step.data<std::int64_t>();
      ops::kernels::drop_path(device, x.dim(0), x.dim(1), base.defined() ? base.data<T>() : nullptr,
                              x.data<T>(), {path.p, path.key.stem, step, path.map}, y.data<T>());
    });
  });
}

}  // namespace

Var drop_path_add(const Var& residual, const Var& x, double p, const StepKey& key,
                  const RowMap& map) {
  ops::check_dropout_add(residual, x, p, key);
  if (p == 0) return add(residual, x);
  const Path path{p, key, map};
  Tensor y = empty_like(x.value());
  apply(path, residual.value(), x.value(), y);
  return record(std::move(y), {residual, x},
                [path, dresidual = residual.grad(), dx = x.grad()](const Tensor& dy) {
                  dresidual.pass(dy);
                  dx.accumulate([&](const Tensor& to, bool add) {
                    apply(path, add ? to : Tensor(), dy, to);
                  });
                });
}

}  // namespace fusor
