#include "ops/prepend_row.h"

#include "ops/columns.h"
#include "ops/prepend_row_kernels.h"
#include "ops/sum_rows.h"

namespace fusor {

Var prepend_row(const Var& x, const Var& row, std::int64_t batch) {
  const Tensor &xv = x.value(), &rv = row.value();
  require(xv.rank() == 2 && batch > 0 && xv.dim(0) % batch == 0, "prepend_row: x ", xv.shape(),
          " in ", batch, " sequences");
  require(rv.shape() == Shape{1, xv.dim(1)} && rv.dtype() == xv.dtype(), "prepend_row: x ",
          xv.shape(), " ", xv.dtype(), " but row ", rv.shape(), " ", rv.dtype());
  const std::int64_t len = xv.dim(0) / batch, cols = xv.dim(1);
  Tensor y({batch * (len + 1), cols}, xv.dtype(), xv.device());
  launch(y.device(), "prepend_row", {.bytes = 2.0 * static_cast<double>(y.bytes())},
         [&](auto device) {
           on_float(y.dtype(), [&]<class T> {
             ops::kernels::prepend_row(device, batch, len, cols, xv.data<T>(), rv.data<T>(),
                                       y.data<T>());
           });
         });
  // Columns of a sequence as one row: what came before it, and its own.
  const std::int64_t own = len * cols;
  Pull pull = [=, dx = x.grad()](const Tensor& dy) {
    dx.accumulate([&](const Tensor& to, bool add) {
      ops::copy_columns({dy.view({batch, cols + own}), cols, own}, {to.view({batch, own}), 0, own},
                        add);
    });
  };
  Pull pull_weights = [=, drow = row.grad()](const Tensor& dy) {
    drow.accumulate([&](const Tensor& to, bool add) {
      const Owned workspace(dy.device(), Owner::workspace);
      const Tensor rows({batch, cols}, dy.dtype(), dy.device());
      ops::copy_columns({dy.view({batch, cols + own}), 0, cols}, {rows, 0, cols}, false);
      ops::sum_rows(to.view({cols}), rows, add);
    });
  };
  return record(std::move(y), {x, row}, std::move(pull), std::move(pull_weights));
}

}  // namespace fusor
