#pragma once
#include <bit>
#include <cmath>
#include <cstdint>

// Standard normals from random words, for every device: plain arithmetic, which loops vectorise and
// no mathematical library rounds in its own way. Weights are the same bits wherever multiplications
// are fused with the additions that follow: on GPUs, and on CPUs that have the instruction.
namespace fusor::ops {

// ln x of a normal x > 0: x = 2^n m with m in [sqrt(1/2), sqrt(2)), and ln m = 2 artanh((m - 1) /
// (m + 1)) by its series, whose first term left out is below 1e-9.
constexpr float log_by_series(float x) {
  const std::int32_t bits = std::bit_cast<std::int32_t>(x) - 0x3f3504f3;  // of sqrt(1/2)
  const float n = static_cast<float>(bits >> 23);
  const float m = std::bit_cast<float>((bits & 0x7fffff) + 0x3f3504f3);
  const float s = (m - 1.0f) / (m + 1.0f), z = s * s;
  const float series = 2.0f + z * (2.0f / 3 + z * (2.0f / 5 + z * (2.0f / 7 + z * (2.0f / 9))));
  return n * 0.693147182f + s * series;
}

// cos and sin of 2 pi v for v in [0, 1): v is folded to an eighth of a turn around a multiple of a
// quarter, where the Taylor series' first term left out is below 2e-9.
constexpr void cos_sin_of_turn(float v, float& cosine, float& sine) {
  const auto quarter = static_cast<std::int32_t>(v * 4.0f + 0.5f);
  const float a = (v - static_cast<float>(quarter) * 0.25f) * 6.28318531f, z = a * a;
  const float c = 1.0f + z * (-1.0f / 2 + z * (1.0f / 24 + z * (-1.0f / 720 + z * (1.0f / 40320))));
  const float s =
      a * (1.0f + z * (-1.0f / 6 + z * (1.0f / 120 + z * (-1.0f / 5040 + z * (1.0f / 362880)))));
  const float x = quarter & 1 ? s : c, y = quarter & 1 ? c : s;
  cosine = (quarter + 1) & 2 ? -x : x;
  sine = quarter & 2 ? -y : y;
}

// Two standard normals from two random words, by Box and Muller. Both are within +-6.7.
constexpr void normal_pair(std::uint32_t word, std::uint32_t next, float& first, float& second) {
  const float u = (static_cast<float>(word >> 1) + 0.5f) * 0x1p-31f;  // (0, 1]
  const float v = static_cast<float>(next >> 8) * 0x1p-24f;           // [0, 1)
  const float radius = std::sqrt(-2.0f * log_by_series(u));
  float cosine = 0, sine = 0;
  cos_sin_of_turn(v, cosine, sine);
  first = radius * cosine;
  second = radius * sine;
}

}  // namespace fusor::ops
