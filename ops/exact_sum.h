#pragma once
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

namespace fusor::ops {

// A sum of doubles, none negative, without rounding: a fixed-point number with a place for each bit
// that a double can have. So it does not depend on the order, and sums of threads and ranks add up
// limb by limb as integers. The small superaccumulator of Neal, "Fast exact summation using small
// and large superaccumulators", https://arxiv.org/abs/1505.05571.
class ExactSum {
 public:
  // Limb i counts 2^(32 i - 1074); the last one counts terms that were infinite or not a number.
  static constexpr int kLimbs = 67;

  // What a term adds to three limbs, from `limb` on. Each part is below 2^33.
  struct Parts {
    int limb;
    std::int64_t part[3];
  };
  static constexpr Parts parts(double x) {
    const auto bits = std::bit_cast<std::uint64_t>(x);
    const auto exponent = static_cast<int>(bits >> 52 & 0x7ff);
    if (exponent == 0x7ff) return {kLimbs - 3, {0, 0, 1}};
    const std::uint64_t fraction = bits & ((std::uint64_t{1} << 52) - 1);
    const std::uint64_t mantissa = exponent > 0 ? fraction | std::uint64_t{1} << 52 : fraction;
    const int place = exponent > 0 ? exponent - 1 : 0;
    const std::uint64_t low = (mantissa & kMask) << place % 32, high = (mantissa >> 32)
                                                                       << place % 32;
    return {place / 32,
            {static_cast<std::int64_t>(low & kMask),
             static_cast<std::int64_t>((low >> 32) + (high & kMask)),
             static_cast<std::int64_t>(high >> 32)}};
  }

  // At most 2^30 calls between two of add_to().
  void add(double x) {
    const auto [limb, part] = parts(x);
    std::int64_t* const to = limbs_.data() + limb;
    for (int i = 0; i < 3; ++i) to[i] += part[i];
  }

  // Adds this sum to `to` [kLimbs], which can take 2^30 of them, and begins anew.
  void add_to(std::int64_t* to) {
    carry(limbs_.data());
    for (int i = 0; i < kLimbs; ++i) to[i] += limbs_[static_cast<std::size_t>(i)];
    limbs_.fill(0);
  }

  // The sum as a double, to rounding; NaN where a term was no finite number.
  static constexpr double value(const std::int64_t* limbs) {
    if (limbs[kLimbs - 1] != 0) return std::numeric_limits<double>::quiet_NaN();
    std::int64_t digits[kLimbs]{};
    for (int i = 0; i < kLimbs; ++i) digits[i] = limbs[i];
    carry(digits);
    double sum = 0;
    for (int i = kLimbs - 2; i >= 0; --i)
      sum += std::ldexp(static_cast<double>(digits[i]), 32 * i - 1074);
    return sum;
  }

  // Brings every limb [kLimbs] but the last of the number below 2^32, which is its one such form.
  static constexpr void carry(std::int64_t* limbs) {
    for (int i = 0; i + 2 < kLimbs; ++i) {
      limbs[i + 1] += limbs[i] >> 32;
      limbs[i] &= static_cast<std::int64_t>(kMask);
    }
  }

 private:
  static constexpr std::uint64_t kMask = 0xffffffff;

  std::array<std::int64_t, kLimbs> limbs_{};
};

}  // namespace fusor::ops
