#include "ops/pick_rows.h"

#include "ops/pick_rows_kernels.h"

namespace fusor {
namespace {

using ops::kernels::Picks;

void check_positions(const Tensor& positions, std::int64_t seq_len) {
  if (positions.device().kind() != DeviceKind::cpu) return;
  for (const std::int32_t p : positions.host<std::int32_t>())
    require(0 <= p && p < seq_len, "pick_rows: position ", p, " is not in a sequence of ", seq_len);
}

Cost pick_cost(const Tensor& y) { return {.bytes = 2.0 * static_cast<double>(y.bytes())}; }

void pick_backward(const Tensor& dy, const Picks& picks, const Tensor& dx, bool add) {
  const Cost cost{
      .flops = static_cast<double>(dy.size()),
      .bytes = static_cast<double>(dy.bytes()) + static_cast<double>(dx.bytes()) * (add ? 2 : 1)};
  launch(dy.device(), "pick_rows_backward", cost, [&](auto device) {
    on_float(dy.dtype(), [&]<class T> {
      ops::kernels::pick_rows_backward(device, picks, dy.data<T>(), dx.data<T>(), add);
    });
  });
}

// `positions` may be undefined.
Var pick(const Var& x, const Tensor& positions, std::int64_t batch, std::int64_t count) {
  const Tensor& xv = x.value();
  const Picks picks{batch, xv.dim(0) / batch, xv.dim(1), count,
                    positions.defined() ? positions.data<std::int32_t>() : nullptr};
  Tensor y({batch * count, xv.dim(1)}, xv.dtype(), xv.device());
  launch(y.device(), "pick_rows", pick_cost(y), [&](auto device) {
    on_float(y.dtype(),
             [&]<class T> { ops::kernels::pick_rows(device, picks, xv.data<T>(), y.data<T>()); });
  });
  // The tensor of positions is kept with the pointer into it.
  return record(std::move(y), {x}, [positions, picks, dx = x.grad()](const Tensor& dy) {
    dx.accumulate([&](const Tensor& to, bool add) { pick_backward(dy, picks, to, add); });
  });
}

}  // namespace

Var pick_rows(const Var& x, const Tensor& positions) {
  const Tensor& xv = x.value();
  require(xv.rank() == 2 && positions.rank() == 2 && positions.dtype() == DType::i32 &&
              positions.dim(0) > 0 && xv.dim(0) % positions.dim(0) == 0,
          "pick_rows: x ", xv.shape(), " and positions ", positions.shape(), " ",
          positions.dtype());
  check_positions(positions, xv.dim(0) / positions.dim(0));
  return pick(x, positions, positions.dim(0), positions.dim(1));
}

Var first_rows(const Var& x, std::int64_t batch) {
  require(x.value().rank() == 2 && batch > 0 && x.value().dim(0) % batch == 0, "first_rows: x ",
          x.shape(), " in ", batch, " sequences");
  return pick(x, {}, batch, 1);
}

}  // namespace fusor
