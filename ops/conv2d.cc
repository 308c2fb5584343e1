#include "ops/conv2d.h"

#include <algorithm>
#include <memory>

#include "ops/conv2d_kernels.h"
#include "ops/relu.h"
#include "ops/sum_rows.h"

namespace fusor {
namespace {

using ops::kernels::Conv2dCall;
using ops::kernels::Conv2dPass;
using ops::kernels::Conv2dShape;

// Places that a filter of `size` takes along an extent with its zeros; at most 0 if it does not
// fit.
std::int64_t places(std::int64_t extent, std::int64_t size, std::int64_t stride,
                    std::int64_t dilation) {
  const std::int64_t room = extent - dilation * (size - 1) - 1;
  return room < 0 ? 0 : room / stride + 1;
}

Conv2dShape shape_of(const Shape& x, const Shape& w, const Conv2dOptions& o) {
  require(x.size() == 4 && w.size() == 4, "conv2d: x ", x, " and w ", w,
          " are not [n, h, w, c] and [k, r, s, c / groups]");
  require(o.groups > 0 && x[3] == w[3] * o.groups && w[0] % o.groups == 0, "conv2d: x ", x,
          " and w ", w, " in ", o.groups, " groups");
  require(std::min({o.stride.h, o.stride.w, o.dilation.h, o.dilation.w}) > 0 &&
              std::min({o.before.h, o.before.w, o.after.h, o.after.w}) >= 0,
          "conv2d: strides and dilations begin at 1, padding at 0");
  const Conv2dShape s{.n = x[0],
                      .h = x[1],
                      .w = x[2],
                      .c = x[3],
                      .k = w[0],
                      .r = w[1],
                      .s = w[2],
                      .p = places(x[1] + o.before.h + o.after.h, w[1], o.stride.h, o.dilation.h),
                      .q = places(x[2] + o.before.w + o.after.w, w[2], o.stride.w, o.dilation.w),
                      .stride = o.stride,
                      .before = o.before,
                      .after = o.after,
                      .dilation = o.dilation,
                      .groups = o.groups};
  require(s.p > 0 && s.q > 0, "conv2d: w ", w, " does not fit into x ", x, " and its zeros");
  return s;
}

// Two operations a multiply-add; each operand read once, the result written once, and read if added
// to.
Cost cost_of(const Conv2dCall& call, const Tensor& a, const Tensor& b, const Tensor& c) {
  const Conv2dShape& s = call.shape;
  return {.flops = 2 * static_cast<double>(s.pixels() * s.k) *
                   static_cast<double>(s.r * s.s * s.group_c()),
          .bytes = static_cast<double>(a.bytes() + b.bytes() + (call.add ? 2 : 1) * c.bytes())};
}

void run(std::string_view op, const Conv2dCall& call, const Tensor& a, const Tensor& b,
         const Tensor& bias, const Tensor& c) {
  const Device& device = c.device();
  std::size_t bytes = 0;
  on_backend(device.like(), [&](auto tag) { bytes = ops::kernels::conv2d_workspace(tag, call); });
  const Owned workspace_is(device, Owner::workspace);
  const Tensor workspace({static_cast<std::int64_t>(bytes)}, DType::u8, device);
  launch(device, op, cost_of(call, a, b, c), [&](auto tag) {
    ops::kernels::conv2d(
        tag, call,
        {a.raw(), b.raw(), bias.defined() ? bias.raw() : nullptr, c.raw(), workspace.raw()});
  });
}

// The gradient of what goes into the ReLU, where there is one.
Tensor before_relu(const Tensor& dy, const Tensor& y) {
  if (!y.defined()) return dy;
  Tensor dz = empty_like(dy);
  ops::relu_backward(dy, y, dz, false);
  return dz;
}

}  // namespace

Shape conv2d_shape(const Shape& x, const Shape& w, const Conv2dOptions& o) {
  const Conv2dShape s = shape_of(x, w, o);
  return {s.n, s.p, s.q, s.k};
}

Var conv2d(const Var& x, const Var& w, const Var& bias, const Conv2dOptions& o) {
  const Tensor xv = x.value(), wv = w.value(), &b = bias.value();
  const Conv2dShape s = shape_of(xv.shape(), wv.shape(), o);
  require(xv.dtype() == wv.dtype(), "conv2d: x ", xv.dtype(), " and w ", wv.dtype());
  require(!b.defined() || (b.shape() == Shape{s.k} && b.dtype() == wv.dtype()), "conv2d: w ",
          wv.shape(), " ", wv.dtype(), " but bias ", b.shape(), " ", b.dtype());
  Tensor y({s.n, s.p, s.q, s.k}, xv.dtype(), xv.device());
  run("conv2d", {Conv2dPass::forward, xv.dtype(), b.defined(), o.relu, false, s}, xv, wv, b, y);
  const Tensor kept = o.relu ? y : Tensor();
  const auto dz = std::make_shared<Tensor>();  // from pull to pull_weights
  Pull pull = [=, dx = x.grad()](const Tensor& dy) {
    *dz = before_relu(dy, kept);
    dx.accumulate([&](const Tensor& to, bool add) {
      run("conv2d_data", {Conv2dPass::data, wv.dtype(), false, false, add, s}, *dz, wv, {}, to);
    });
  };
  Pull pull_weights = [=, dw = w.grad(), db = bias.grad()](const Tensor&) {
    dw.accumulate([&](const Tensor& to, bool add) {
      run("conv2d_weights", {Conv2dPass::weights, xv.dtype(), false, false, add, s}, *dz, xv, {},
          to);
    });
    db.accumulate([&](const Tensor& to, bool add) {
      ops::sum_rows(to, dz->view({s.pixels(), s.k}), add);
    });
    *dz = {};
  };
  return record(std::move(y), {x, w, bias}, std::move(pull), std::move(pull_weights));
}

}  // namespace fusor
