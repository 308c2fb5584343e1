#include "ops/swap_blocks.h"

#include "ops/swap_blocks_kernels.h"

namespace fusor {
namespace {

void swap_into(const Tensor& x, std::int64_t a, std::int64_t b, const Tensor& y, bool add) {
  const Cost cost{.flops = 0, .bytes = static_cast<double>(x.bytes()) * (add ? 3 : 2)};
  launch(x.device(), "swap_blocks", cost, [&](auto device) {
    on_float(x.dtype(), [&]<class T> {
      ops::kernels::swap_blocks(device, a, b, x.size() / (a * b), x.data<T>(), y.data<T>(), add);
    });
  });
}

}  // namespace

Var swap_blocks(const Var& x, std::int64_t a, std::int64_t b) {
  require(x.value().rank() == 2 && a > 0 && b > 0 && x.value().dim(0) % (a * b) == 0,
          "swap_blocks: x ", x.shape(), " in ", a, " x ", b, " blocks");
  if (a == 1 || b == 1) return x;
  Tensor y = empty_like(x.value());
  swap_into(x.value(), a, b, y, false);
  return record(std::move(y), {x}, [a, b, dx = x.grad()](const Tensor& dy) {
    dx.accumulate([&](const Tensor& to, bool add) { swap_into(dy, b, a, to, add); });
  });
}

}  // namespace fusor
