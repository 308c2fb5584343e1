#include "ops/cpu.h"
#include "ops/cpu_math.h"
#include "ops/gemm_kernels.h"

namespace fusor::ops::kernels {
namespace {

// c [rows, cols] row-major; row i is start + the sum over l of a_at(i, l) * the row b [l, cols].
template <class Element, class Start>
void rows_of(std::int64_t rows, std::int64_t cols, std::int64_t inner, Element a_at,
             const double* b, double* c, Start start) {
  cpu::parallel_for(rows, 1, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      double* to = c + i * cols;
      for (std::int64_t j = 0; j < cols; ++j) to[j] = start(to[j], j);
      for (std::int64_t l = 0; l < inner; ++l)
        for (std::int64_t j = 0; j < cols; ++j) to[j] += a_at(i, l) * b[l * cols + j];
    }
  });
}

void product_nt(const GemmCall& call, const double* x, const double* w, const double* bias,
                double* y) {
  cpu::parallel_for(call.m, 1, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i)
      for (std::int64_t j = 0; j < call.n; ++j) {
        double sum = bias ? bias[j] : 0;
        for (std::int64_t l = 0; l < call.k; ++l) sum += x[i * call.k + l] * w[j * call.k + l];
        y[i * call.n + j] = call.epilogue == Epilogue::gelu ? cpu::gelu(sum) : sum;
      }
  });
}

}  // namespace

void gemm_f64(const GemmCall& call, const GemmOperands& o) {
  const auto* a = reinterpret_cast<const double*>(o.a);
  const auto* b = reinterpret_cast<const double*>(o.b);
  auto* c = reinterpret_cast<double*>(o.c);
  const auto start = [add = call.add](double before, std::int64_t) { return add ? before : 0.0; };
  const std::int64_t n = call.n;
  switch (call.product) {
    case Product::nt:
      return product_nt(call, a, b, reinterpret_cast<const double*>(o.bias), c);
    case Product::nn:
      return rows_of(
          call.m, call.k, n, [=](auto i, auto l) { return a[i * n + l]; }, b, c, start);
    case Product::tn:
      return rows_of(
          n, call.k, call.m, [=](auto i, auto l) { return a[l * n + i]; }, b, c, start);
  }
}

}  // namespace fusor::ops::kernels
