#include "ops/join_columns.h"

#include "ops/columns.h"
#include "ops/fill.h"

namespace fusor {

Var join_columns(const Var& a, const Var& b) {
  const std::int64_t rows = a.value().dim(0), of_a = a.value().dim(1), of_b = b.value().dim(1);
  require(b.value().dim(0) == rows && b.value().dtype() == a.value().dtype(),
          "join_columns: ", a.shape(), " ", a.value().dtype(), " and ", b.shape(), " ",
          b.value().dtype());
  Tensor y({rows, of_a + of_b}, a.value().dtype(), a.device());
  ops::copy_columns({a.value(), 0, of_a}, {y, 0, of_a}, false);
  ops::copy_columns({b.value(), 0, of_b}, {y, of_a, of_b}, false);
  return record(std::move(y), {a, b}, [=, da = a.grad(), db = b.grad()](const Tensor& dy) {
    da.accumulate([&](const Tensor& to, bool add) {
      ops::copy_columns({dy, 0, of_a}, {to, 0, of_a}, add);
    });
    db.accumulate([&](const Tensor& to, bool add) {
      ops::copy_columns({dy, of_a, of_b}, {to, 0, of_b}, add);
    });
  });
}

Var take_columns(const Var& x, std::int64_t first, std::int64_t count) {
  Tensor y({x.value().dim(0), count}, x.value().dtype(), x.device());
  ops::copy_columns({x.value(), first, count}, {y, 0, count}, false);
  return record(std::move(y), {x}, [=, dx = x.grad()](const Tensor& dy) {
    dx.accumulate([&](const Tensor& to, bool add) {
      if (!add) ops::fill(to, 0);
      ops::copy_columns({dy, 0, count}, {to, first, count}, true);
    });
  });
}

}  // namespace fusor
