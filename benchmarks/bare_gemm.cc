#include "benchmarks/bare_gemm.h"

#include <dlfcn.h>
#include <omp.h>

#include <cstdlib>
#include <oneapi/dnnl/dnnl.hpp>

namespace fusor::benchmark {
namespace {

using dnnl::memory;
using ops::kernels::Product;

dnnl::engine& engine() {
  static dnnl::engine cpu(dnnl::engine::kind::cpu, 0);
  return cpu;
}

memory::desc plain(const Tensor& t) {
  return {{t.dim(0), t.dim(1)},
          t.dtype() == DType::bf16 ? memory::data_type::bf16 : memory::data_type::f32,
          memory::format_tag::ab};
}

memory::desc transposed(const Tensor& t) { return plain(t).permute_axes({1, 0}); }

template <class Primitive>
std::function<void()> caller(const typename Primitive::primitive_desc& pd,
                             std::unordered_map<int, memory> operands) {
  return [primitive = Primitive(pd), operands, stream = dnnl::stream(engine())]() mutable {
    primitive.execute(stream, operands);
    stream.wait();
  };
}

using Sgemm = void (*)(int order, int transpose_a, int transpose_b, int m, int n, int k,
                       float alpha, const float* a, int lda, const float* b, int ldb, float beta,
                       float* c, int ldc);

// As fast as it can be: it picks its kernels for this processor, whatever the environment asks for.
// Its threads sleep at once when they are done, where they would else take a core from the next
// rival.
Sgemm load_sgemm() {
  unsetenv("OPENBLAS_CORETYPE");
  unsetenv("OPENBLAS_L2_SIZE");
  setenv("OPENBLAS_THREAD_TIMEOUT", "4", 1);  // log2 of clock cycles
  void* library = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL);
  if (!library) return nullptr;
  const auto set_threads =
      reinterpret_cast<void (*)(int)>(dlsym(library, "openblas_set_num_threads"));
  if (set_threads) set_threads(omp_get_max_threads());
  return reinterpret_cast<Sgemm>(dlsym(library, "cblas_sgemm"));
}

}  // namespace

std::function<void()> bare_matmul(const Gemm& g) {
  const memory::desc a = g.product == Product::tn ? transposed(g.a) : plain(g.a),
                     b = g.product == Product::nt ? transposed(g.b) : plain(g.b);
  const dnnl::matmul::primitive_desc pd({a, b, plain(g.c)}, engine());
  return caller<dnnl::matmul>(pd, {{DNNL_ARG_SRC, memory(a, engine(), g.a.raw())},
                                   {DNNL_ARG_WEIGHTS, memory(b, engine(), g.b.raw())},
                                   {DNNL_ARG_DST, memory(plain(g.c), engine(), g.c.raw())}});
}

std::function<void()> bare_inner_product(const Gemm& g) {
  using Forward = dnnl::inner_product_forward;
  using BackwardData = dnnl::inner_product_backward_data;
  using BackwardWeights = dnnl::inner_product_backward_weights;
  const memory::desc a = plain(g.a), b = plain(g.b), c = plain(g.c);
  const auto forward = [&](const memory::desc& x, const memory::desc& w, const memory::desc& y) {
    return Forward::primitive_desc({dnnl::prop_kind::forward_training, x, w, y}, engine());
  };
  const auto operands = [&](int a_is, int b_is, int c_is) -> std::unordered_map<int, memory> {
    return {{a_is, memory(a, engine(), g.a.raw())},
            {b_is, memory(b, engine(), g.b.raw())},
            {c_is, memory(c, engine(), g.c.raw())}};
  };
  switch (g.product) {
    case Product::nt:
      return caller<Forward>(forward(a, b, c),
                             operands(DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST));
    case Product::nn:
      return caller<BackwardData>(
          BackwardData::primitive_desc({c, b, a}, engine(), forward(c, b, a)),
          operands(DNNL_ARG_DIFF_DST, DNNL_ARG_WEIGHTS, DNNL_ARG_DIFF_SRC));
    case Product::tn: {
      const memory::desc w(c.dims(), a.data_type(), memory::format_tag::ab);
      return caller<BackwardWeights>(
          BackwardWeights::primitive_desc({b, c, a}, engine(), forward(b, w, a)),
          operands(DNNL_ARG_DIFF_DST, DNNL_ARG_SRC, DNNL_ARG_DIFF_WEIGHTS));
    }
  }
  return {};
}

std::function<void()> bare_openblas(const Gemm& g) {
  static const Sgemm sgemm = load_sgemm();
  if (!sgemm || g.a.dtype() != DType::f32) return {};
  enum { kRowMajor = 101, kAsIs = 111, kTransposed = 112 };  // of cblas.h
  const int transpose_a = g.product == Product::tn ? kTransposed : kAsIs;
  const int transpose_b = g.product == Product::nt ? kTransposed : kAsIs;
  const auto extent = [](const Tensor& t, int dim) { return static_cast<int>(t.dim(dim)); };
  return [=] {
    sgemm(kRowMajor, transpose_a, transpose_b, extent(g.c, 0), extent(g.c, 1),
          extent(g.a, g.product == Product::tn ? 0 : 1), 1.f, g.a.data<float>(), extent(g.a, 1),
          g.b.data<float>(), extent(g.b, 1), 0.f, g.c.data<float>(), extent(g.c, 1));
  };
}

}  // namespace fusor::benchmark
