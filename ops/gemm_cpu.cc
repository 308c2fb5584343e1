#include <omp.h>

#include <algorithm>
#include <map>

#include "ops/cpu.h"
#include "ops/gemm_kernels.h"
#include "ops/onednn.h"

namespace fusor::ops::kernels {
namespace {

using dnnl::memory;

using onednn::engine;
using onednn::type_of;

memory::desc row_major(std::int64_t rows, std::int64_t cols, DType dtype) {
  return {{rows, cols}, type_of(dtype), memory::dims{cols, 1}};
}

// A primitive and how a GemmCall's operands reach it.
struct Prepared {
  dnnl::primitive primitive;
  memory::desc a, b, bias, c;
  int a_arg, b_arg, c_arg;
  std::size_t scratch = 0;  // oneDNN's own workspace
  std::size_t staging = 0;  // bytes of c computed apart and added by us, behind the workspace
};

dnnl::primitive_attr attributes(const GemmCall& call) {
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  dnnl::post_ops ops;
  if (call.add) ops.append_sum(1.f);
  if (call.epilogue == Epilogue::gelu)
    ops.append_eltwise(1.f, dnnl::algorithm::eltwise_gelu_tanh, 0.f, 0.f);
  attr.set_post_ops(ops);
  return attr;
}

// c = op(a) op(b) by the matmul primitive: transposition is a matter of strides.
Prepared by_matmul(const GemmCall& call) {
  const auto [m, n, k] = std::tuple(call.m, call.n, call.k);
  const memory::data_type t = type_of(call.dtype);
  Prepared p;
  switch (call.product) {
    case Product::nt:
      p.a = row_major(m, k, call.dtype);
      p.b = {{k, n}, t, memory::dims{1, k}};
      p.c = row_major(m, n, call.dtype);
      break;
    case Product::nn:
      p.a = row_major(m, n, call.dtype);
      p.b = row_major(n, k, call.dtype);
      p.c = row_major(m, k, call.dtype);
      break;
    case Product::tn:
      p.a = {{n, m}, t, memory::dims{1, n}};
      p.b = row_major(m, k, call.dtype);
      p.c = row_major(n, k, acc_dtype(call.dtype));
      break;
  }
  if (call.bias) p.bias = {{1, n}, t, memory::dims{n, 1}};
  const auto desc =
      call.bias ? dnnl::matmul::desc(p.a, p.b, p.bias, p.c) : dnnl::matmul::desc(p.a, p.b, p.c);
  const dnnl::matmul::primitive_desc pd(desc, attributes(call), engine());
  p.primitive = dnnl::matmul(pd);
  p.a_arg = DNNL_ARG_SRC, p.b_arg = DNNL_ARG_WEIGHTS, p.c_arg = DNNL_ARG_DST;
  p.scratch = pd.scratchpad_desc().get_size();
  return p;
}

dnnl::inner_product_forward::primitive_desc forward_hint(const GemmCall& call) {
  return {{dnnl::prop_kind::forward_training, row_major(call.m, call.k, call.dtype),
           row_major(call.n, call.k, call.dtype), row_major(call.m, call.n, call.dtype)},
          engine()};
}

// The inner-product primitives, which know one orientation each and cannot add to c.
Prepared by_inner_product(const GemmCall& call) {
  const memory::desc x = row_major(call.m, call.k, call.dtype),
                     w = row_major(call.n, call.k, call.dtype),
                     y = row_major(call.m, call.n, call.dtype),
                     dw = row_major(call.n, call.k, acc_dtype(call.dtype));
  GemmCall plain = call;
  plain.add = false;
  Prepared p;
  const auto take = [&](const auto& pd, auto primitive) {
    p.primitive = primitive;
    p.scratch = pd.scratchpad_desc().get_size();
  };
  if (call.product == Product::nt) {
    if (call.bias) p.bias = {{call.n}, type_of(call.dtype), memory::format_tag::a};
    const auto desc =
        call.bias
            ? dnnl::inner_product_forward::desc(dnnl::prop_kind::forward_training, x, w, p.bias, y)
            : dnnl::inner_product_forward::desc(dnnl::prop_kind::forward_training, x, w, y);
    const dnnl::inner_product_forward::primitive_desc pd(desc, attributes(plain), engine());
    take(pd, dnnl::inner_product_forward(pd));
    p.a = x, p.b = w, p.c = y;
    p.a_arg = DNNL_ARG_SRC, p.b_arg = DNNL_ARG_WEIGHTS, p.c_arg = DNNL_ARG_DST;
  } else if (call.product == Product::nn) {
    const dnnl::inner_product_backward_data::primitive_desc pd({x, w, y}, attributes(plain),
                                                               engine(), forward_hint(call));
    take(pd, dnnl::inner_product_backward_data(pd));
    p.a = y, p.b = w, p.c = x;
    p.a_arg = DNNL_ARG_DIFF_DST, p.b_arg = DNNL_ARG_WEIGHTS, p.c_arg = DNNL_ARG_DIFF_SRC;
  } else {
    const dnnl::inner_product_backward_weights::primitive_desc pd({x, dw, y}, attributes(plain),
                                                                  engine(), forward_hint(call));
    take(pd, dnnl::inner_product_backward_weights(pd));
    p.a = y, p.b = x, p.c = dw;
    p.a_arg = DNNL_ARG_DIFF_DST, p.b_arg = DNNL_ARG_SRC, p.c_arg = DNNL_ARG_DIFF_WEIGHTS;
    if (call.add) p.staging = dw.get_size();
  }
  return p;
}

// Which of the two oneDNN is faster at, as benchmarks/gemm_bench measures it. In bf16 the inner
// product sums into an f32 copy of y, which for the logits of a language model costs more than it
// gains.
bool inner_product_is_faster(const GemmCall& call) {
  constexpr std::int64_t kManyRows = 1024, kManyCols = 16384;
  const bool half = call.dtype == DType::bf16;
  switch (call.product) {
    case Product::nt:
      return half && call.m >= kManyRows && call.n < kManyCols;
    case Product::nn:
      return !call.add && (!half || call.m >= kManyRows || call.n >= kManyCols);
    case Product::tn:
      return half || !call.add;
  }
  return false;
}

// Creating a primitive generates code, so each call is prepared once a thread and thread count.
const Prepared& prepared(const GemmCall& call) {
  thread_local std::map<std::pair<int, GemmCall>, Prepared> known;
  const auto key = std::pair(omp_get_max_threads(), call);
  if (const auto found = known.find(key); found != known.end()) return found->second;
  try {
    Prepared p = inner_product_is_faster(call) ? by_inner_product(call) : by_matmul(call);
    return known.emplace(key, std::move(p)).first->second;
  } catch (const dnnl::error& e) {
    raise(std::string("oneDNN: ") + e.what());
  }
}

void execute(const Prepared& p, const GemmCall& call, const GemmOperands& o) {
  thread_local const dnnl::stream stream(engine());
  std::byte* staged = p.staging ? o.workspace + onednn::aligned(p.scratch) : o.c;
  std::unordered_map<int, memory> args{{p.a_arg, onednn::at(p.a, o.a)},
                                       {p.b_arg, onednn::at(p.b, o.b)},
                                       {p.c_arg, onednn::at(p.c, staged)}};
  if (call.bias) args.emplace(DNNL_ARG_BIAS, onednn::at(p.bias, o.bias));
  if (p.scratch) args.emplace(DNNL_ARG_SCRATCHPAD, onednn::scratchpad(p.scratch, o.workspace));
  p.primitive.execute(stream, args);
  if (!p.staging) return;
  const auto* from = reinterpret_cast<const float*>(staged);
  auto* to = reinterpret_cast<float*>(o.c);
  cpu::parallel_for(static_cast<std::int64_t>(p.staging / sizeof(float)), 1 << 15,
                    [=](std::int64_t begin, std::int64_t end) {
                      for (std::int64_t i = begin; i < end; ++i) to[i] += from[i];
                    });
}

}  // namespace

std::size_t gemm_workspace(Cpu, const GemmCall& call) {
  if (call.dtype == DType::f64) return 0;
  if (call.dtype == DType::f16) return gemm_f16_workspace(call);
  const Prepared& p = prepared(call);
  return p.staging ? onednn::aligned(p.scratch) + p.staging : p.scratch;
}

void gemm(Cpu, const GemmCall& call, const GemmOperands& operands) {
  if (call.dtype == DType::f64) return gemm_f64(call, operands);
  if (call.dtype == DType::f16) return gemm_f16(call, operands);
  try {
    execute(prepared(call), call, operands);
  } catch (const dnnl::error& e) {
    raise(std::string("oneDNN: ") + e.what());
  }
}

}  // namespace fusor::ops::kernels
