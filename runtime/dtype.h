#pragma once
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iosfwd>
#include <string_view>
#include <type_traits>

#include "runtime/error.h"

namespace fusor {

enum class DType : std::uint8_t { f64, f32, bf16, f16, i64, i32, u8 };

std::size_t size_of(DType);           // bytes of one element
std::string_view name_of(DType);      // "f32"
DType parse_dtype(std::string_view);  // throws Error that lists the names
std::ostream& operator<<(std::ostream&, DType);

// The upper half of an f32; rounds to nearest even. NaN stays NaN.
struct bf16 {
  std::uint16_t bits = 0;
  bf16() = default;
  constexpr explicit bf16(float x) {
    const auto u = std::bit_cast<std::uint32_t>(x);
    const std::uint32_t rounded = (u + 0x7fff + ((u >> 16) & 1)) >> 16;
    bits = static_cast<std::uint16_t>((u & 0x7fffffff) > 0x7f800000 ? (u >> 16) | 0x40 : rounded);
  }
  constexpr explicit operator float() const {
    return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
  }
};

// IEEE half precision; rounds to nearest even, and to infinity from 65520 on. NaN stays NaN.
struct f16 {
  std::uint16_t bits = 0;
  f16() = default;
  constexpr explicit f16(float x) {
    const auto u = std::bit_cast<std::uint32_t>(x);
    const std::uint32_t sign = u >> 16 & 0x8000, size = u & 0x7fffffff;
    // The low bits of size + 0.5 count multiples of 2^-24, of which f16 has subnormals.
    const float shifted = std::bit_cast<float>(size) + 0.5f;
    const std::uint32_t subnormal = std::bit_cast<std::uint32_t>(shifted) - 0x3f000000;
    const std::uint32_t normal = (size - 0x38000000 + 0xfff + (size >> 13 & 1)) >> 13;
    const std::uint32_t beyond = size > 0x7f800000 ? 0x7e00 | (size >> 13 & 0x3ff) : 0x7c00;
    const std::uint32_t finite = size < 0x38800000 ? subnormal : normal;
    bits = static_cast<std::uint16_t>(sign | (size < 0x477ff000 ? finite : beyond));
  }
  constexpr explicit operator float() const {
    const std::uint32_t size = (bits & 0x7fffu) << 13;
    const float scaled = std::bit_cast<float>(size) * 0x1p112f;  // of subnormals too
    const bool finite = size < 0x0f800000;
    const std::uint32_t value = finite ? std::bit_cast<std::uint32_t>(scaled) : size | 0x7f800000;
    return std::bit_cast<float>(value | (bits & 0x8000u) << 16);
  }
};

constexpr bool is_half(DType t) { return t == DType::bf16 || t == DType::f16; }

template <class T>
inline constexpr DType dtype_of = [] {
  if constexpr (std::is_same_v<T, double>)
    return DType::f64;
  else if constexpr (std::is_same_v<T, float>)
    return DType::f32;
  else if constexpr (std::is_same_v<T, bf16>)
    return DType::bf16;
  else if constexpr (std::is_same_v<T, f16>)
    return DType::f16;
  else if constexpr (std::is_same_v<T, std::int64_t>)
    return DType::i64;
  else if constexpr (std::is_same_v<T, std::int32_t>)
    return DType::i32;
  else {
    static_assert(std::is_same_v<T, std::uint8_t>, "no DType for this type");
    return DType::u8;
  }
}();

// What sums, statistics and weight gradients are kept in: f64 for f64, f32 for the rest.
template <class T>
using acc_t = std::conditional_t<std::is_same_v<T, double>, double, float>;
DType acc_dtype(DType);

// Calls f.template operator()<T>() with the element type of a floating dtype.
template <class F>
decltype(auto) on_float(DType dtype, F&& f) {
  switch (dtype) {
    case DType::f64:
      return f.template operator()<double>();
    case DType::f32:
      return f.template operator()<float>();
    case DType::bf16:
      return f.template operator()<bf16>();
    case DType::f16:
      return f.template operator()<f16>();
    default:
      break;
  }
  require(false, "no kernel computes in ", name_of(dtype), "; use f64, f32, bf16 or f16");
  std::abort();
}

}  // namespace fusor
