#include "io/order.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "runtime/error.h"

namespace fusor {
namespace {

std::vector<std::int64_t> all(const Permutation& order, std::int64_t n) {
  std::vector<std::int64_t> values;
  for (std::int64_t i = 0; i < n; ++i) values.push_back(order(i));
  return values;
}

TEST(Order, IsAPermutationOfAnySize) {
  for (const std::int64_t n : {1,  2,   3,   4,    5,    7,    15,   16,    17,    31,
                               97, 128, 129, 1000, 1023, 4096, 4097, 65536, 65537, 100003}) {
    for (const std::int64_t epoch : {0, 1, 2}) {
      auto values = all(epoch_order(5, epoch, n), n);
      std::sort(values.begin(), values.end());
      for (std::int64_t i = 0; i < n; ++i) ASSERT_EQ(values[i], i) << "n " << n;
    }
  }
  const std::int64_t huge = (std::int64_t{1} << 61) + 1;
  const std::int64_t value = epoch_order(5, 0, huge)(huge - 1);
  EXPECT_TRUE(value >= 0 && value < huge);
  EXPECT_THROW(epoch_order(5, 0, 0), Error);
}

// Runs are resumed in the middle of an epoch by later programs, so the order may never change.
TEST(Order, IsTheSameForEver) {
  std::vector<std::int64_t> values;
  for (std::int64_t i = 0; i < 6; ++i) values.push_back(epoch_order(5, 2, 1000)(i));
  EXPECT_EQ(values, (std::vector<std::int64_t>{157, 784, 428, 410, 604, 328}));
}

TEST(Order, EpochsAndSeedsDiffer) {
  const std::int64_t n = 1000;
  const auto matches = [&](const Permutation& a, const Permutation& b) {
    std::int64_t same = 0;
    for (std::int64_t i = 0; i < n; ++i) same += a(i) == b(i);
    return same;
  };
  const Permutation order = epoch_order(7, 3, n);
  EXPECT_EQ(matches(order, epoch_order(7, 3, n)), n);
  EXPECT_LT(matches(order, epoch_order(7, 4, n)), 10);  // 1 is expected of unrelated ones
  EXPECT_LT(matches(order, epoch_order(8, 3, n)), 10);
}

// Pearson's chi-square of counts that should be equal, in standard deviations from its mean.
double excess(const std::vector<std::int64_t>& counts, double expected) {
  double chi2 = 0;
  for (const std::int64_t count : counts)
    chi2 += (count - expected) * (count - expected) / expected;
  const double freedom = static_cast<double>(counts.size()) - 1;
  return (chi2 - freedom) / std::sqrt(2 * freedom);
}

TEST(Order, PlacesOfAnElementAreUniformOverSeeds) {
  constexpr int kSeeds = 20000;
  for (const std::int64_t n : {2, 3, 5, 8, 16, 17, 64, 100}) {
    for (const std::int64_t i : {std::int64_t{0}, n / 2, n - 1}) {
      std::vector<std::int64_t> counts(n);
      for (std::uint64_t seed = 0; seed < kSeeds; ++seed) ++counts[epoch_order(seed, 0, n)(i)];
      EXPECT_LT(std::abs(excess(counts, double(kSeeds) / n)), 5) << "n " << n << " i " << i;
    }
  }
}

TEST(Order, PairsOfNeighboursAreUniformOverSeeds) {
  constexpr int kSeeds = 60000;
  constexpr std::int64_t kN = 12;
  std::vector<std::int64_t> counts(kN * kN);
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    const Permutation order = epoch_order(seed, 1, kN);
    ++counts[order(4) * kN + order(5)];
  }
  std::vector<std::int64_t> off_diagonal;
  for (std::int64_t a = 0; a < kN; ++a)
    for (std::int64_t b = 0; b < kN; ++b)
      if (a != b) off_diagonal.push_back(counts[a * kN + b]);
  EXPECT_LT(std::abs(excess(off_diagonal, double(kSeeds) / off_diagonal.size())), 5);
}

}  // namespace
}  // namespace fusor
