#pragma once
#include <cmath>

#include "ops/cuda.h"

// ops/cpu_math.h's functions for kernels, of its formulas and accuracy.
namespace fusor::ops::cuda {

// 1 / (1 + e^-x). Where e^-x overflows the result is 0; it would be subnormal.
__device__ inline float sigmoid(float x) { return __fdividef(1.0f, 1.0f + expf(-x)); }
__device__ inline double sigmoid(double x) { return 1.0 / (1.0 + exp(-x)); }

// The tanh form; (1 + tanh u) / 2 is sigmoid(2 u).
template <class A>
__device__ A gelu(A x) {
  constexpr A k = A(1.5957691216057308);  // 2 sqrt(2 / pi)
  return x * sigmoid(k * x * (A(1) + A(0.044715) * x * x));
}
template <class A>
__device__ A dgelu(A x) {
  constexpr A k = A(1.5957691216057308);
  const A s = sigmoid(k * x * (A(1) + A(0.044715) * x * x));
  return s + x * s * (A(1) - s) * k * (A(1) + A(3 * 0.044715) * x * x);
}

// The erf form, by P(X < x) of a standard normal X.
template <class A>
__device__ A normal_below(A x) {
  return A(0.5) * std::erfc(A(-0.7071067811865476) * x);
}
template <class A>
__device__ A erf_gelu(A x) {
  return x * normal_below(x);
}
template <class A>
__device__ A derf_gelu(A x) {
  constexpr A kHeight = A(0.3989422804014327);  // 1 / sqrt(2 pi)
  return normal_below(x) + x * kHeight * std::exp(A(-0.5) * x * x);
}

}  // namespace fusor::ops::cuda
