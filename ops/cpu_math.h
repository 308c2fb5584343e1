#pragma once
#include <bit>
#include <cmath>
#include <cstdint>

// exp, tanh, sigmoid and both forms of GELU without branches or calls, which loops over them
// vectorise. In f32 the error is below 2 ulp over the whole range, unless told; infinities, NaN and
// subnormal results are as in <cmath>. In f64 they are <cmath>'s own.
namespace fusor::ops::cpu {
namespace detail {

// e^x = 2^n e^r with |r| <= ln(2) / 2, as in Cephes' expf. F: float or a vector of floats, I: its
// int32 counterpart.
template <class F, class I>
inline F exp(F x) {
  const F low = F{} - 104.0f, high = F{} + 89.0f;  // beyond: exactly 0 and inf
  x = x < low ? low : x;
  x = x > high ? high : x;
  // Adding 1.5 * 2^23 leaves the nearest integer in the low bits.
  constexpr float kRound = 0x1.8p23f;
  const F shifted = x * 1.44269504f + kRound;
  const F n = shifted - kRound;
  const I exponent = std::bit_cast<I>(shifted) - std::bit_cast<std::int32_t>(kRound);
  const F r = (x - n * 0.693359375f) + n * 2.12194440e-4f;  // ln(2) in two parts: n * 1st is exact
  F p = r * 0.00138145988f + 0.00836871658f;                // minimax, 0.05 ulp
  p = p * r + 0.0416683890f;
  p = p * r + 0.166665211f;
  p = p * r + 0.49999994f;
  p = p * (r * r) + r + 1.0f;
  // 2^n by halves, so that subnormal results and overflow round as they should.
  const I half = exponent >> 1;
  const I first = (half + 127) << 23, second = (exponent - half + 127) << 23;
  return p * std::bit_cast<F>(first) * std::bit_cast<F>(second);
}

// x (1 + x^2 q(x^2)) near 0, else 1 - 2 / (e^2|x| + 1) with the sign of x.
template <class F, class I>
inline F tanh(F x) {
  const F a = x < 0.0f ? -x : x;
  const F z = x * x;
  F q = z * -0.00571704470f + 0.0206505861f;  // minimax on |x| < 0.625, 0.07 ulp
  q = q * z - 0.0537434965f;
  q = q * z + 0.133314908f;
  q = q * z - 0.333332837f;
  const F small = x * (1.0f + z * q);  // keeps -0
  const F large = 1.0f - 2.0f / (exp<F, I>(a + a) + 1.0f);
  return a < 0.625f ? small : x < 0.0f ? -large : large;
}

}  // namespace detail

inline float exp(float x) { return detail::exp<float, std::int32_t>(x); }
inline double exp(double x) { return std::exp(x); }

inline float tanh(float x) { return detail::tanh<float, std::int32_t>(x); }
inline double tanh(double x) { return std::tanh(x); }

// 1 / (1 + e^-x), without overflow
template <class T>
inline T sigmoid(T x) {
  const T e = exp(x < T(0) ? x : -x);  // <= 1
  return (x < T(0) ? e : T(1)) / (T(1) + e);
}

// x (1 + tanh u) / 2 with u = sqrt(2 / pi) (x + 0.044715 x^3), and its derivative: the tanh form of
// Hendrycks and Gimpel, "Gaussian error linear units", 2016. (1 + tanh u) / 2 is sigmoid(2 u).
template <class T>
inline T gelu(T x) {
  constexpr T k = T(1.5957691216057308);  // 2 sqrt(2 / pi)
  return x * sigmoid(k * x * (T(1) + T(0.044715) * x * x));
}
template <class T>
inline T dgelu(T x) {
  constexpr T k = T(1.5957691216057308);
  const T s = sigmoid(k * x * (T(1) + T(0.044715) * x * x));
  return s + x * s * (T(1) - s) * k * (T(1) + T(3 * 0.044715) * x * x);
}

// Of a standard normal: P(X < x) = (1 + erf(x / sqrt(2))) / 2, and e^(-x^2 / 2). In f32 the first
// is, for x <= 0, the second times a polynomial in t = 4 / (4 - x), a minimax fit of relative error
// 5e-7; further errors are those of the exponential, below 1e-5 of results above 1e-37.
template <class T>
struct NormalAt {
  T below, bell;
};
inline NormalAt<float> normal_at(float x) {
  const float a = x < 0.0f ? -x : x, t = 4.0f / (4.0f + a);
  float q = t * -0.0300682145f + 0.0476214798f;
  q = q * t + 0.0723160017f;
  q = q * t + 0.0140858461f;
  q = q * t + 0.110941099f;
  q = q * t + 0.0842797269f;
  q = q * t + 0.101179012f;
  q = q * t + 0.0996448191f;
  const float bell = exp(-0.5f * a * a), tail = q * t * bell;
  return {x < 0.0f ? tail : 1.0f - tail, bell};
}
inline NormalAt<double> normal_at(double x) {
  return {0.5 * std::erfc(-0.7071067811865476 * x), std::exp(-0.5 * x * x)};
}

// x P(X < x), and its derivative.
template <class T>
inline T erf_gelu(T x) {
  return x * normal_at(x).below;
}
template <class T>
inline T derf_gelu(T x) {
  constexpr T kHeight = T(0.3989422804014327);  // 1 / sqrt(2 pi)
  const NormalAt<T> at = normal_at(x);
  return at.below + x * kHeight * at.bell;
}

}  // namespace fusor::ops::cpu
