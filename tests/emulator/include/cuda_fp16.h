#pragma once
#include <bit>

#include "runtime/dtype.h"

// CUDA's half precision, as far as Fusor uses it.
struct __half {
  unsigned short bits;
  __half() = default;
  explicit __half(float x);
  operator float() const {
    fusor::f16 same;
    same.bits = bits;
    return static_cast<float>(same);
  }
};

inline unsigned short __half_as_ushort(__half x) { return x.bits; }
inline __half __ushort_as_half(unsigned short x) { return std::bit_cast<__half>(x); }
// To nearest, ties to even; every NaN becomes 0x7fff.
inline __half __float2half_rn(float x) {
  return __ushort_as_half(x != x ? 0x7fff : fusor::f16(x).bits);
}
inline __half::__half(float x) : bits(__float2half_rn(x).bits) {}
inline float __half2float(__half x) { return x; }
