#include "ops/rotary.h"

#include "ops/rotary_kernels.h"

namespace fusor {
namespace {

using ops::kernels::RotaryCall;

// Six operations a turned pair; each element read and written once.
Cost rotary_cost(const Tensor& x) {
  return {.flops = 3 * static_cast<double>(x.size()), .bytes = 2 * static_cast<double>(x.bytes())};
}

void rotate(const RotaryCall& call, const Tensor& x, const Tensor& y) {
  const Device& device = y.device();
  const Owned workspace(device, Owner::workspace);
  const Tensor table({call.map.local_len, call.shape.head_dim}, acc_dtype(x.dtype()), device);
  launch(device, "rotary", rotary_cost(x), [&](auto tag) {
    on_float(x.dtype(), [&]<class T> {
      ops::kernels::rotary_table<T>(tag, call, table.data<acc_t<T>>());
      ops::kernels::rotary(tag, call, x.data<T>(), table.data<acc_t<T>>(), y.data<T>());
    });
  });
}

}  // namespace

Var rotary(Var qkv, const AttentionShape& shape, double theta, const RowMap& map) {
  ops::check_qkv("rotary", qkv.value(), shape);
  require(shape.head_dim % 2 == 0, "rotary: head_dim ", shape.head_dim, " is odd");
  RotaryCall call{shape, theta, map, false};
  Tensor y = qkv.value().unique() ? qkv.value() : empty_like(qkv.value());
  rotate(call, qkv.value(), y);
  call.inverse = true;
  return record(std::move(y), {qkv}, [call, dx = qkv.grad()](const Tensor& dy) {
    const Tensor turned = dy.unique() ? dy : empty_like(dy);
    rotate(call, dy, turned);
    dx.pass(turned);
  });
}

}  // namespace fusor
