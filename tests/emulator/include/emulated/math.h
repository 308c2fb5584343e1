#pragma once
#include <math.h>  // NOLINT: CUDA has these functions, for float and double, in the global namespace

#include <bit>
#include <climits>
#include <cstdint>
#include <type_traits>

// CUDA's mathematical functions, conversions and atomics. Those that CUDA computes in fewer digits
// are computed in all of them here.
inline float rsqrtf(float x) { return 1 / sqrtf(x); }
inline double rsqrt(double x) { return 1 / sqrt(x); }
inline float rsqrt(float x) { return rsqrtf(x); }
inline float __frsqrt_rn(float x) { return static_cast<float>(1 / sqrt(static_cast<double>(x))); }
inline float __expf(float x) { return expf(x); }
inline float __exp2f(float x) { return exp2f(x); }
inline float __logf(float x) { return logf(x); }
inline float __log2f(float x) { return log2f(x); }
inline float __sinf(float x) { return sinf(x); }
inline float __cosf(float x) { return cosf(x); }
inline float __tanhf(float x) { return tanhf(x); }
inline float __powf(float x, float y) { return powf(x, y); }
inline float __fdividef(float x, float y) { return x / y; }
inline float __frcp_rn(float x) { return 1 / x; }
inline float __fsqrt_rn(float x) { return sqrtf(x); }
inline float __fdiv_rn(float x, float y) { return x / y; }
inline double __dsqrt_rn(double x) { return sqrt(x); }
inline double __ddiv_rn(double x, double y) { return x / y; }
inline void sincospif(float x, float* s, float* c) {
  *s = static_cast<float>(sin(M_PI * x)), *c = static_cast<float>(cos(M_PI * x));
}
inline float exp10(float x) { return exp10f(x); }

namespace fusor::emulator {
// Keeps the compiler from fusing the product or sum that made x with what uses it.
template <class T>
T rounded(T x) {
  __asm__("" : "+x"(x));
  return x;
}
}  // namespace fusor::emulator
inline float __fmul_rn(float x, float y) { return fusor::emulator::rounded(x * y); }
inline float __fadd_rn(float x, float y) {
  return fusor::emulator::rounded(fusor::emulator::rounded(x) + fusor::emulator::rounded(y));
}
inline float __fsub_rn(float x, float y) { return __fadd_rn(x, -y); }
inline float __fmaf_rn(float x, float y, float z) { return fmaf(x, y, z); }
inline double __dmul_rn(double x, double y) { return fusor::emulator::rounded(x * y); }
inline double __dadd_rn(double x, double y) {
  return fusor::emulator::rounded(fusor::emulator::rounded(x) + fusor::emulator::rounded(y));
}
inline double __dsub_rn(double x, double y) { return __dadd_rn(x, -y); }
inline double __fma_rn(double x, double y, double z) { return fma(x, y, z); }

// Of two numbers of one kind, integers or floats, as CUDA's overloads: in the wider type.
template <class A, class B>
requires(std::is_arithmetic_v<A>&& std::is_arithmetic_v<B>) constexpr std::common_type_t<A, B> min(
    A a, B b) {
  using T = std::common_type_t<A, B>;
  if constexpr (std::is_floating_point_v<T>)
    return static_cast<T>(__builtin_fmin(a, b));
  else
    return static_cast<T>(b) < static_cast<T>(a) ? static_cast<T>(b) : static_cast<T>(a);
}
template <class A, class B>
requires(std::is_arithmetic_v<A>&& std::is_arithmetic_v<B>) constexpr std::common_type_t<A, B> max(
    A a, B b) {
  using T = std::common_type_t<A, B>;
  if constexpr (std::is_floating_point_v<T>)
    return static_cast<T>(__builtin_fmax(a, b));
  else
    return static_cast<T>(a) < static_cast<T>(b) ? static_cast<T>(b) : static_cast<T>(a);
}

inline unsigned __float_as_uint(float x) { return std::bit_cast<unsigned>(x); }
inline int __float_as_int(float x) { return std::bit_cast<int>(x); }
inline float __uint_as_float(unsigned x) { return std::bit_cast<float>(x); }
inline float __int_as_float(int x) { return std::bit_cast<float>(x); }
inline long long __double_as_longlong(double x) { return std::bit_cast<long long>(x); }
inline double __longlong_as_double(long long x) { return std::bit_cast<double>(x); }
inline float __double2float_rn(double x) { return static_cast<float>(x); }

// Conversions to integers saturate, and make 0 of NaN, as CUDA's do.
namespace fusor::emulator {
template <class To>
To to_integer(double x) {
  constexpr double kEnd =
      static_cast<double>(static_cast<To>(To{1} << (sizeof(To) * CHAR_BIT - 2))) * 2;
  if (x != x) return 0;
  if constexpr (std::is_signed_v<To>) {
    if (x >= kEnd) return static_cast<To>(~(To{1} << (sizeof(To) * CHAR_BIT - 1)));
    if (x < -kEnd) return static_cast<To>(To{1} << (sizeof(To) * CHAR_BIT - 1));
  } else {
    if (x >= 2 * kEnd) return static_cast<To>(~To{0});
    if (x < 0) return 0;
  }
  return static_cast<To>(x);
}
}  // namespace fusor::emulator
#define FUSOR_EMULATED_CONVERSIONS(T, suffix)                                                    \
  inline T __double2##suffix##_rn(double x) { return fusor::emulator::to_integer<T>(rint(x)); }  \
  inline T __double2##suffix##_rz(double x) { return fusor::emulator::to_integer<T>(trunc(x)); } \
  inline T __double2##suffix##_rd(double x) { return fusor::emulator::to_integer<T>(floor(x)); } \
  inline T __double2##suffix##_ru(double x) { return fusor::emulator::to_integer<T>(ceil(x)); }  \
  inline T __float2##suffix##_rn(float x) { return __double2##suffix##_rn(x); }                  \
  inline T __float2##suffix##_rz(float x) { return __double2##suffix##_rz(x); }                  \
  inline T __float2##suffix##_rd(float x) { return __double2##suffix##_rd(x); }                  \
  inline T __float2##suffix##_ru(float x) { return __double2##suffix##_ru(x); }
FUSOR_EMULATED_CONVERSIONS(int, int)
FUSOR_EMULATED_CONVERSIONS(unsigned, uint)
FUSOR_EMULATED_CONVERSIONS(long long, ll)
FUSOR_EMULATED_CONVERSIONS(unsigned long long, ull)
#undef FUSOR_EMULATED_CONVERSIONS
inline double __ll2double_rn(long long x) { return static_cast<double>(x); }
inline float __ll2float_rn(long long x) { return static_cast<float>(x); }
inline float __int2float_rn(int x) { return static_cast<float>(x); }
inline float __uint2float_rn(unsigned x) { return static_cast<float>(x); }

inline int __popc(unsigned x) { return std::popcount(x); }
inline int __popcll(unsigned long long x) { return std::popcount(x); }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __ffsll(long long x) { return __builtin_ffsll(x); }
inline int __clz(int x) { return std::countl_zero(static_cast<unsigned>(x)); }
inline int __clzll(long long x) { return std::countl_zero(static_cast<unsigned long long>(x)); }
inline unsigned __brev(unsigned x) {
  unsigned y = 0;
  for (int i = 0; i < 32; ++i) y |= (x >> i & 1) << (31 - i);
  return y;
}
inline unsigned __umulhi(unsigned x, unsigned y) {
  return static_cast<unsigned>(std::uint64_t{x} * y >> 32);
}
inline unsigned long long __umul64hi(unsigned long long x, unsigned long long y) {
  return static_cast<unsigned long long>(static_cast<unsigned __int128>(x) * y >> 64);
}

// Loads and stores that tell the cache something.
#define FUSOR_EMULATED_LOAD(name) \
  template <class T>              \
  T name(const T* p) {            \
    return *p;                    \
  }
#define FUSOR_EMULATED_STORE(name) \
  template <class T>               \
  void name(T* p, T x) {           \
    *p = x;                        \
  }
FUSOR_EMULATED_LOAD(__ldg)
FUSOR_EMULATED_LOAD(__ldca)
FUSOR_EMULATED_LOAD(__ldcg)
FUSOR_EMULATED_LOAD(__ldcs)
FUSOR_EMULATED_LOAD(__ldlu)
FUSOR_EMULATED_LOAD(__ldcv)
FUSOR_EMULATED_STORE(__stwb)
FUSOR_EMULATED_STORE(__stcg)
FUSOR_EMULATED_STORE(__stcs)
FUSOR_EMULATED_STORE(__stwt)
#undef FUSOR_EMULATED_LOAD
#undef FUSOR_EMULATED_STORE

// Fibers switch only where threads meet, so an atomic is a plain operation. On integers alone:
// floats would be added in another order each run.
#define FUSOR_EMULATED_ATOMIC(name, expression)                            \
  template <class T>                                                       \
  requires std::is_integral_v<T> T name(T* p, std::type_identity_t<T> x) { \
    const T old = *p;                                                      \
    *p = static_cast<T>(expression);                                       \
    return old;                                                            \
  }
FUSOR_EMULATED_ATOMIC(atomicAdd, old + x)
FUSOR_EMULATED_ATOMIC(atomicSub, old - x)
FUSOR_EMULATED_ATOMIC(atomicMin, x < old ? x : old)
FUSOR_EMULATED_ATOMIC(atomicMax, x > old ? x : old)
FUSOR_EMULATED_ATOMIC(atomicAnd, old& x)
FUSOR_EMULATED_ATOMIC(atomicOr, old | x)
FUSOR_EMULATED_ATOMIC(atomicXor, old ^ x)
FUSOR_EMULATED_ATOMIC(atomicExch, x)
FUSOR_EMULATED_ATOMIC(atomicInc, old >= x ? 0 : old + 1)
#undef FUSOR_EMULATED_ATOMIC
template <class T>
requires std::is_integral_v<T> T atomicCAS(T* p, std::type_identity_t<T> expected,
                                           std::type_identity_t<T> x) {
  const T old = *p;
  if (old == expected) *p = x;
  return old;
}
