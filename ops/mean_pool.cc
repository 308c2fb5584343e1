#include "ops/mean_pool.h"

#include "ops/mean_pool_kernels.h"

namespace fusor {
namespace {

using ops::kernels::PaddedRows;

void mean_pool_backward(const Tensor& dy, const PaddedRows& rows, const Tensor& dx, bool add) {
  const Cost cost{.flops = static_cast<double>(dx.size()),
                  .bytes = static_cast<double>(dx.bytes()) * (add ? 2 : 1)};
  launch(dy.device(), "mean_pool_backward", cost, [&](auto device) {
    on_float(dy.dtype(), [&]<class T> {
      ops::kernels::mean_pool_backward(device, rows, dy.data<T>(), dx.data<T>(), add);
    });
  });
}

}  // namespace

Var mean_pool(const Var& x, std::int64_t batch, const Tensor& lengths) {
  const Tensor& xv = x.value();
  require(xv.rank() == 2 && batch > 0 && xv.dim(0) % batch == 0, "mean_pool: x ", xv.shape(),
          " in ", batch, " sequences");
  require(!lengths.defined() || (lengths.dtype() == DType::i32 && lengths.size() == batch),
          "mean_pool: lengths ", lengths.shape(), " ", lengths.dtype(), " of ", batch,
          " sequences");
  const PaddedRows rows{batch, xv.dim(0) / batch, xv.dim(1),
                        lengths.defined() ? lengths.data<std::int32_t>() : nullptr};
  Tensor y({batch, xv.dim(1)}, xv.dtype(), xv.device());
  const Cost cost{.flops = static_cast<double>(xv.size()),
                  .bytes = static_cast<double>(xv.bytes() + y.bytes())};
  launch(y.device(), "mean_pool", cost, [&](auto device) {
    on_float(y.dtype(),
             [&]<class T> { ops::kernels::mean_pool(device, rows, xv.data<T>(), y.data<T>()); });
  });
  // The tensor of lengths is kept with the pointer into it.
  return record(std::move(y), {x}, [lengths, rows, dx = x.grad()](const Tensor& dy) {
    dx.accumulate([&](const Tensor& to, bool add) { mean_pool_backward(dy, rows, to, add); });
  });
}

}  // namespace fusor
