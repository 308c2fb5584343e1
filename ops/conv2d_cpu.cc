#include <omp.h>

#include <map>
#include <optional>
#include <tuple>

#include "ops/conv2d_kernels.h"
#include "ops/cpu.h"
#include "ops/onednn.h"

namespace fusor::ops::kernels {
namespace {

using dnnl::memory;
using Tag = memory::format_tag;

// x, y and the filters of a convolution. Images lie as ours do; filters as oneDNN likes them best.
struct Descs {
  memory::desc x, y, w;
  memory::dims stride, dilation, before, after;

  Descs(const Conv2dShape& s, DType dtype, DType filters)
      : x({s.n, s.c, s.h, s.w}, onednn::type_of(dtype), Tag::nhwc),
        y({s.n, s.k, s.p, s.q}, onednn::type_of(dtype), Tag::nhwc),
        w(filter_dims(s), onednn::type_of(filters), Tag::any),
        stride{s.stride.h, s.stride.w},
        dilation{s.dilation.h - 1, s.dilation.w - 1},
        before{s.before.h, s.before.w},
        after{s.after.h, s.after.w} {}

  static memory::dims filter_dims(const Conv2dShape& s) {
    if (s.groups == 1) return {s.k, s.c, s.r, s.s};
    return {s.groups, s.group_k(), s.group_c(), s.r, s.s};
  }
  // Filters as ours lie.
  static memory::desc our_filters(const Conv2dShape& s, DType dtype) {
    return {filter_dims(s), onednn::type_of(dtype), s.groups == 1 ? Tag::ohwi : Tag::gohwi};
  }
};

// A pass: oneDNN's primitive, and the reorder of filters before it, or of their gradient after it.
struct Prepared {
  dnnl::primitive primitive{};
  dnnl::reorder reorder{};
  memory::desc a{}, b{}, bias{}, c{}, filters{};  // filters: ours; b or c: oneDNN's
  int a_arg = 0, b_arg = 0, c_arg = 0;
  std::size_t scratch = 0, reorder_scratch = 0;  // oneDNN's own workspaces
  std::size_t staged_filters = 0;
  std::size_t staged_c = 0;  // bytes of dx computed apart and added by us

  std::size_t scratch_bytes() const { return onednn::aligned(std::max(scratch, reorder_scratch)); }
  std::size_t workspace() const {
    return scratch_bytes() + onednn::aligned(staged_filters) + staged_c;
  }
};

dnnl::primitive_attr attributes(bool relu, bool add) {
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  dnnl::post_ops ops;
  if (relu) ops.append_eltwise(1.f, dnnl::algorithm::eltwise_relu, 0.f, 0.f);
  if (add) ops.append_sum(1.f);
  attr.set_post_ops(ops);
  return attr;
}

constexpr auto kDirect = dnnl::algorithm::convolution_direct;

dnnl::convolution_forward::primitive_desc forward_of(const Conv2dCall& call, const Descs& d,
                                                     const memory::desc& bias) {
  using Forward = dnnl::convolution_forward;
  constexpr auto kTraining = dnnl::prop_kind::forward_training;
  const auto desc = call.bias ? Forward::desc(kTraining, kDirect, d.x, d.w, bias, d.y, d.stride,
                                              d.dilation, d.before, d.after)
                              : Forward::desc(kTraining, kDirect, d.x, d.w, d.y, d.stride,
                                              d.dilation, d.before, d.after);
  return {desc, attributes(call.relu, false), onednn::engine()};
}

void prepare_reorder(Prepared& p, const memory::desc& from, const memory::desc& to, bool add) {
  const dnnl::reorder::primitive_desc pd(onednn::engine(), from, onednn::engine(), to,
                                         attributes(false, add));
  p.reorder = dnnl::reorder(pd);
  p.reorder_scratch = pd.scratchpad_desc().get_size();
}

Prepared prepare(const Conv2dCall& call) {
  const bool weights = call.pass == Conv2dPass::weights;
  const DType filters = weights ? acc_dtype(call.dtype) : call.dtype;
  const Descs forward_descs(call.shape, call.dtype, call.dtype), d(call.shape, call.dtype, filters);
  Prepared p;
  p.bias = {{call.shape.k}, onednn::type_of(call.dtype), Tag::a};
  p.filters = Descs::our_filters(call.shape, filters);
  const auto forward = forward_of(call, forward_descs, p.bias);
  if (call.pass == Conv2dPass::forward) {
    p.primitive = dnnl::convolution_forward(forward);
    p.a = d.x, p.b = forward.weights_desc(), p.c = d.y;
    p.a_arg = DNNL_ARG_SRC, p.b_arg = DNNL_ARG_WEIGHTS, p.c_arg = DNNL_ARG_DST;
    p.scratch = forward.scratchpad_desc().get_size();
  } else if (call.pass == Conv2dPass::data) {
    const dnnl::convolution_backward_data::primitive_desc pd(
        {kDirect, d.x, d.w, d.y, d.stride, d.dilation, d.before, d.after}, attributes(false, false),
        onednn::engine(), forward);
    p.primitive = dnnl::convolution_backward_data(pd);
    p.a = d.y, p.b = pd.weights_desc(), p.c = d.x;
    p.a_arg = DNNL_ARG_DIFF_DST, p.b_arg = DNNL_ARG_WEIGHTS, p.c_arg = DNNL_ARG_DIFF_SRC;
    p.scratch = pd.scratchpad_desc().get_size();
    if (call.add) p.staged_c = d.x.get_size();
  } else {
    const dnnl::convolution_backward_weights::primitive_desc pd(
        {kDirect, d.x, d.w, d.y, d.stride, d.dilation, d.before, d.after}, attributes(false, false),
        onednn::engine(), forward);
    p.primitive = dnnl::convolution_backward_weights(pd);
    p.a = d.y, p.b = d.x, p.c = pd.diff_weights_desc();
    p.a_arg = DNNL_ARG_DIFF_DST, p.b_arg = DNNL_ARG_SRC, p.c_arg = DNNL_ARG_DIFF_WEIGHTS;
    p.scratch = pd.scratchpad_desc().get_size();
  }
  if (weights)
    prepare_reorder(p, p.c, p.filters, call.add);
  else
    prepare_reorder(p, p.filters, p.b, false);
  p.staged_filters = (weights ? p.c : p.b).get_size();
  return p;
}

// Creating a primitive generates code, so each call is prepared once a thread and thread count.
// Empty where oneDNN has none: f64, f16, and bf16 on processors without it.
const std::optional<Prepared>& prepared(const Conv2dCall& call) {
  thread_local std::map<std::pair<int, Conv2dCall>, std::optional<Prepared>> known;
  const auto key = std::pair(omp_get_max_threads(), call);
  if (const auto found = known.find(key); found != known.end()) return found->second;
  std::optional<Prepared> p;
  try {
    if (call.dtype == DType::f32 || call.dtype == DType::bf16) p = prepare(call);
  } catch (const dnnl::error& e) {
    if (e.status != dnnl_unimplemented) raise(std::string("oneDNN: ") + e.what());
  }
  return known.emplace(key, std::move(p)).first->second;
}

void execute(const Prepared& p, const Conv2dCall& call, const Conv2dOperands& o) {
  thread_local const dnnl::stream stream(onednn::engine());
  const bool weights = call.pass == Conv2dPass::weights;
  std::byte* const filters = o.workspace + p.scratch_bytes();
  std::byte* const staged = filters + onednn::aligned(p.staged_filters);
  const auto reorder = [&](const memory& from, const memory& to) {
    p.reorder.execute(stream,
                      {{DNNL_ARG_FROM, from},
                       {DNNL_ARG_TO, to},
                       {DNNL_ARG_SCRATCHPAD, onednn::scratchpad(p.reorder_scratch, o.workspace)}});
  };
  const memory b = onednn::at(p.b, weights ? o.b : filters);
  const memory c = onednn::at(p.c, weights ? filters : p.staged_c ? staged : o.c);
  if (!weights) reorder(onednn::at(p.filters, o.b), b);
  std::unordered_map<int, memory> args{
      {p.a_arg, onednn::at(p.a, o.a)},
      {p.b_arg, b},
      {p.c_arg, c},
      {DNNL_ARG_SCRATCHPAD, onednn::scratchpad(p.scratch, o.workspace)}};
  if (call.bias) args.emplace(DNNL_ARG_BIAS, onednn::at(p.bias, o.bias));
  p.primitive.execute(stream, args);
  if (weights) reorder(c, onednn::at(p.filters, o.c));
  if (!p.staged_c) return;
  on_float(call.dtype, [&]<class T> {
    const auto* from = reinterpret_cast<const T*>(staged);
    auto* to = reinterpret_cast<T*>(o.c);
    cpu::parallel_for(static_cast<std::int64_t>(p.staged_c / sizeof(T)), 1 << 15,
                      [=](std::int64_t begin, std::int64_t end) {
                        for (std::int64_t i = begin; i < end; ++i)
                          cpu::store(to[i], cpu::load(to[i]) + cpu::load(from[i]));
                      });
  });
}

}  // namespace

std::size_t conv2d_workspace(Cpu, const Conv2dCall& call) {
  const std::optional<Prepared>& p = prepared(call);
  return p ? p->workspace() : 0;
}

void conv2d(Cpu, const Conv2dCall& call, const Conv2dOperands& operands) {
  const std::optional<Prepared>& p = prepared(call);
  if (!p) return conv2d_direct(call, operands);
  try {
    execute(*p, call, operands);
  } catch (const dnnl::error& e) {
    raise(std::string("oneDNN: ") + e.what());
  }
}

}  // namespace fusor::ops::kernels
