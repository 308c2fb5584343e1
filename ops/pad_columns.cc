#include "ops/pad_columns.h"

#include "ops/columns.h"
#include "ops/fill.h"

namespace fusor {

Var pad_columns(const Var& x, std::int64_t before, std::int64_t whole) {
  const std::int64_t cols = x.value().dim(-1), rows = x.value().size() / cols;
  require(before >= 0 && before + cols <= whole, "pad_columns: ", x.shape(), " from column ",
          before, " of ", whole);
  Shape shape = x.shape();
  shape.back() = whole;
  Tensor y(shape, x.value().dtype(), x.device());
  ops::fill(y, 0);
  ops::copy_columns({x.value().view({rows, cols}), 0, cols}, {y.view({rows, whole}), before, cols},
                    false);
  return record(std::move(y), {x}, [=, dx = x.grad()](const Tensor& dy) {
    dx.accumulate([&](const Tensor& to, bool add) {
      ops::copy_columns({dy.view({rows, whole}), before, cols}, {to.view({rows, cols}), 0, cols},
                        add);
    });
  });
}

}  // namespace fusor
