#include "ops/sum_rows.h"

#include "ops/sum_rows_kernels.h"

namespace fusor::ops {
namespace {

Tensor sum_workspace(const Tensor& x) {
  std::int64_t elements = 0;
  on_backend(x.device().like(),
             [&](auto tag) { elements = kernels::sum_rows_workspace(tag, x.dim(0), x.dim(1)); });
  const Owned workspace(x.device(), Owner::workspace);
  return {{elements}, acc_dtype(x.dtype()), x.device()};
}

}  // namespace

Tensor row_block_sums(const Tensor& x, std::int64_t sums) {
  const Owned workspace(x.device(), Owner::workspace);
  const std::int64_t blocks = num_row_blocks(x.device().like(), x.dim(0));
  return {{sums, blocks, x.dim(1)}, acc_dtype(x.dtype()), x.device()};
}

void sum_rows(const Tensor& to, const Tensor& x, bool add) {
  require(x.rank() == 2 && to.shape() == Shape{x.dim(1)}, "sum_rows: to ", to.shape(), " but x ",
          x.shape());
  require(to.dtype() == acc_dtype(x.dtype()), "sum_rows: to ", to.dtype(), " but x ", x.dtype());
  const Cost cost{.flops = static_cast<double>(x.size()),
                  .bytes = static_cast<double>(x.bytes() + to.bytes() * (add ? 2 : 1))};
  const Tensor workspace = sum_workspace(x);
  launch(x.device(), "sum_rows", cost, [&](auto device) {
    on_float(x.dtype(), [&]<class T> {
      kernels::sum_rows(device, x.dim(0), x.dim(1), x.data<T>(), to.data<acc_t<T>>(), add,
                        workspace.data<acc_t<T>>());
    });
  });
}

}  // namespace fusor::ops
