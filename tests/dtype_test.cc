#include "runtime/dtype.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace fusor {
namespace {

f16 f16_of(unsigned bits) {
  f16 x;
  x.bits = static_cast<std::uint16_t>(bits);
  return x;
}

// IEEE 754, by its definition: 5 bits of exponent, 10 of significand.
double meant(unsigned bits) {
  const unsigned exponent = bits >> 10 & 0x1f, significand = bits & 0x3ff;
  const double size = exponent == 0
                          ? std::ldexp(significand, -24)
                          : std::ldexp(1024 + significand, static_cast<int>(exponent) - 25);
  return bits & 0x8000 ? -size : size;
}

constexpr unsigned kInfinity = 0x7c00, kSign = 0x8000;

TEST(F16, EveryCodeIsTheNumberItStandsFor) {
  for (unsigned bits = 0; bits < kInfinity; ++bits)
    for (const unsigned sign : {0u, kSign}) {
      const auto x = static_cast<float>(f16_of(bits | sign));
      ASSERT_EQ(x, meant(bits | sign)) << bits;
      ASSERT_EQ(std::signbit(x), sign != 0) << bits;
      ASSERT_EQ(f16(x).bits, bits | sign);
    }
}

// Between each two neighbours: what is nearer to one, and the tie.
TEST(F16, RoundsToNearestEven) {
  for (unsigned bits = 0; bits + 1 < kInfinity; ++bits)
    for (const unsigned sign : {0u, kSign}) {
      const unsigned even = bits + (bits & 1);
      const auto middle = static_cast<float>((meant(bits | sign) + meant((bits + 1) | sign)) / 2);
      const float away = sign ? -INFINITY : INFINITY;
      ASSERT_EQ(f16(middle).bits, even | sign) << bits;
      ASSERT_EQ(f16(std::nextafter(middle, 0.0f)).bits, bits | sign) << bits;
      ASSERT_EQ(f16(std::nextafter(middle, away)).bits, (bits + 1) | sign) << bits;
    }
}

TEST(F16, BeyondItsRangeIsInfinite) {
  EXPECT_EQ(f16(std::nextafter(65520.0f, 0.0f)).bits, 0x7bff);
  for (const float x : {65520.0f, 1e30f, std::numeric_limits<float>::max(), INFINITY}) {
    EXPECT_EQ(f16(x).bits, kInfinity) << x;
    EXPECT_EQ(f16(-x).bits, kInfinity | kSign) << x;
  }
  EXPECT_EQ(static_cast<float>(f16_of(kInfinity)), INFINITY);
  EXPECT_EQ(static_cast<float>(f16_of(kInfinity | kSign)), -INFINITY);
  EXPECT_EQ(f16(0x1p-25f).bits, 0) << "half of the smallest: a tie";
  EXPECT_EQ(f16(std::numeric_limits<float>::denorm_min()).bits, 0);
}

TEST(F16, NanStaysNan) {
  for (unsigned bits = kInfinity + 1; bits < kSign; ++bits)
    ASSERT_TRUE(std::isnan(static_cast<float>(f16_of(bits)))) << bits;
  for (const std::uint32_t bits : {0x7f800001u, 0x7fc00000u, 0xffffffffu})
    EXPECT_TRUE(std::isnan(static_cast<float>(f16(std::bit_cast<float>(bits)))));
}

}  // namespace
}  // namespace fusor
