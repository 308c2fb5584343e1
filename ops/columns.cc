#include "ops/columns.h"

#include "ops/columns_kernels.h"

namespace fusor::ops {
namespace {

void check(const Columns& c) {
  require(c.x.rank() == 2 && c.first >= 0 && c.count >= 0 && c.first + c.count <= c.x.dim(1),
          "copy_columns: columns ", c.first, " to ", c.first + c.count, " of ", c.x.shape());
}

template <class T>
kernels::ColumnsOf<T> columns_of(const Columns& c) {
  return {c.x.data<std::remove_const_t<T>>() + c.first, c.x.dim(1)};
}

}  // namespace

void copy_columns(const Columns& from, const Columns& to, bool add) {
  check(from), check(to);
  const std::int64_t rows = to.x.dim(0);
  const DType have = from.x.dtype(), want = to.x.dtype();
  require(from.count == to.count && from.x.dim(0) == rows, "copy_columns: ", from.count,
          " columns of ", from.x.shape(), " to ", to.count, " of ", to.x.shape());
  require(have == want || have == acc_dtype(want), "copy_columns: ", have, " to ", want);
  const auto elements = static_cast<double>(rows * to.count);
  const Cost cost{
      .flops = elements,
      .bytes = elements * static_cast<double>(size_of(have) + size_of(want) * (add ? 2 : 1))};
  launch(to.x.device(), "copy_columns", cost, [&](auto device) {
    on_float(want, [&]<class T> {
      if (have == want)
        kernels::copy_columns(device, rows, to.count, columns_of<const T>(from), columns_of<T>(to),
                              add);
      else
        kernels::copy_columns(device, rows, to.count, columns_of<const acc_t<T>>(from),
                              columns_of<T>(to), add);
    });
  });
}

}  // namespace fusor::ops
