#include "ops/pool2d.h"

#include <algorithm>

#include "ops/pool2d_kernels.h"

namespace fusor {
namespace {

using ops::kernels::Pool2dShape;

Pool2dShape shape_of(const Shape& x, const Pool2dOptions& o, bool count_outside) {
  require(x.size() == 4, "pool2d: x ", x, " is not [n, h, w, c]");
  require(std::min({o.size.h, o.size.w, o.stride.h, o.stride.w}) > 0 &&
              std::min({o.before.h, o.before.w, o.after.h, o.after.w}) >= 0 &&
              std::max(o.before.h, o.after.h) < o.size.h &&
              std::max(o.before.w, o.after.w) < o.size.w,
          "pool2d: a window of ", o.size.h, " x ", o.size.w, " with stride ", o.stride.h, " x ",
          o.stride.w, " needs less padding than it is wide");
  const std::int64_t down = x[1] + o.before.h + o.after.h - o.size.h,
                     across = x[2] + o.before.w + o.after.w - o.size.w;
  require(down >= 0 && across >= 0, "pool2d: a window of ", o.size.h, " x ", o.size.w,
          " does not fit into x ", x);
  return {.n = x[0],
          .h = x[1],
          .w = x[2],
          .c = x[3],
          .p = down / o.stride.h + 1,
          .q = across / o.stride.w + 1,
          .size = o.size,
          .stride = o.stride,
          .before = o.before,
          .count_outside = count_outside};
}

Cost cost_of(const Pool2dShape& s, const Tensor& x, const Tensor& y) {
  return {.flops = static_cast<double>(y.size() * s.size.h * s.size.w),
          .bytes = static_cast<double>(x.bytes() + y.bytes())};
}

}  // namespace

Var max_pool2d(const Var& x, const Pool2dOptions& o) {
  const Tensor& xv = x.value();
  const Pool2dShape s = shape_of(xv.shape(), o, false);
  require(o.size.h * o.size.w <= 255, "max_pool2d: a window of ", o.size.h, " x ", o.size.w,
          " has more than 255 elements");
  Tensor y({s.n, s.p, s.q, s.c}, xv.dtype(), xv.device());
  const bool keeps = x.tape() && x.grad().wanted();
  const Tensor chosen = keeps ? Tensor(y.shape(), DType::u8, xv.device()) : Tensor();
  launch(y.device(), "max_pool2d", cost_of(s, xv, y), [&](auto device) {
    on_float(y.dtype(), [&]<class T> {
      ops::kernels::max_pool2d(device, s, xv.data<T>(), y.data<T>(),
                               keeps ? chosen.data<std::uint8_t>() : nullptr);
    });
  });
  return record(std::move(y), {x}, [s, chosen, dx = x.grad()](const Tensor& dy) {
    dx.accumulate([&](const Tensor& to, bool add) {
      launch(to.device(), "max_pool2d_backward", cost_of(s, to, dy), [&](auto device) {
        on_float(to.dtype(), [&]<class T> {
          ops::kernels::max_pool2d_backward(device, s, dy.data<T>(), chosen.data<std::uint8_t>(),
                                            to.data<T>(), add);
        });
      });
    });
  });
}

Var mean_pool2d(const Var& x, const Pool2dOptions& o, bool count_outside) {
  const Tensor& xv = x.value();
  const Pool2dShape s = shape_of(xv.shape(), o, count_outside);
  Tensor y({s.n, s.p, s.q, s.c}, xv.dtype(), xv.device());
  launch(y.device(), "mean_pool2d", cost_of(s, xv, y), [&](auto device) {
    on_float(y.dtype(),
             [&]<class T> { ops::kernels::mean_pool2d(device, s, xv.data<T>(), y.data<T>()); });
  });
  return record(std::move(y), {x}, [s, dx = x.grad()](const Tensor& dy) {
    dx.accumulate([&](const Tensor& to, bool add) {
      launch(to.device(), "mean_pool2d_backward", cost_of(s, to, dy), [&](auto device) {
        on_float(to.dtype(), [&]<class T> {
          ops::kernels::mean_pool2d_backward(device, s, dy.data<T>(), to.data<T>(), add);
        });
      });
    });
  });
}

}  // namespace fusor
