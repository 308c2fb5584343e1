#pragma once
#include <functional>

#include "ops/gemm_kernels.h"
#include "runtime/tensor.h"

// The products of a linear layer by the libraries alone: what a GEMM of Fusor is measured against.
namespace fusor::benchmark {

// a, b and c as in ops/gemm.h: nt x w y, nn dy w dx, tn dy x dw.
struct Gemm {
  ops::kernels::Product product;
  std::int64_t m, n, k;  // of y [m, n] = x [m, k] w [n, k]^T, whichever product it is
  Tensor a, b, c;
};

// oneDNN by its matmul primitive, and by the three inner-product primitives, on plain layouts.
std::function<void()> bare_matmul(const Gemm&);
std::function<void()> bare_inner_product(const Gemm&);

// cblas_sgemm; empty for other dtypes and where libopenblas.so.0 is not installed.
std::function<void()> bare_openblas(const Gemm&);

}  // namespace fusor::benchmark
