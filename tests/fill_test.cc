#include "ops/fill.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "ops/normal.h"
#include "tests/near.h"

namespace fusor {
namespace {

TEST(FillNormal, HasTheMomentsAndTailsOfANormal) {
  constexpr std::int64_t n = 1 << 20;
  const Tensor t({n}, DType::f32);
  ops::fill_normal(t, 2.0, random_key(1, "moments"));
  double m1 = 0, m2 = 0, m3 = 0, m4 = 0, beyond = 0;
  for (const float raw : t.host<float>()) {
    const double x = raw / 2.0;
    m1 += x, m2 += x * x, m3 += x * x * x, m4 += x * x * x * x;
    beyond += std::abs(x) > 3;
  }
  // Five standard errors of each.
  EXPECT_NEAR(m1 / n, 0, 5 * 1 / std::sqrt(n));
  EXPECT_NEAR(m2 / n, 1, 5 * std::sqrt(2.0 / n));
  EXPECT_NEAR(m3 / n, 0, 5 * std::sqrt(15.0 / n));
  EXPECT_NEAR(m4 / n, 3, 5 * std::sqrt(96.0 / n));
  EXPECT_NEAR(beyond / n, std::erfc(3 / std::sqrt(2.0)), 5 * std::sqrt(0.0027 / n));
}

TEST(FillNormal, AnElementDependsOnItsGlobalIndexAlone) {
  const RandomKey key = random_key(7, "init/w");
  const Tensor whole({70000}, DType::f64);
  ops::fill_normal(whole, 1, key);
  for (const std::int64_t first : {1, 2, 3, 255, 256, 16385, 65533}) {
    const Tensor part({70000 - first}, DType::f64);
    ops::fill_normal(part, 1, key, {.first = first});
    EXPECT_EQ(doubles(part), doubles(whole.slice(first, part.shape()))) << first;
  }
  const auto values = whole.host<double>();
  EXPECT_GT(std::set<double>(values.begin(), values.end()).size(), 69000);  // of 70000, in f32
}

// A slice of a box of 100 of 700 columns, from the middle of one row to the middle of another.
TEST(FillNormal, ABoxHoldsTheElementsOfTheWhole) {
  const RandomKey key = random_key(7, "init/w");
  const Tensor whole({90, 700}, DType::f32);
  ops::fill_normal(whole, 1, key);
  const ops::BoxRange range{.first = 3 * 700 + 50, .begin = 137, .row = 100, .stride = 700};
  const Tensor part({8000}, DType::f32);
  ops::fill_normal(part, 1, key, range);
  for (std::int64_t i = 0; i < part.size(); ++i) {
    const std::int64_t row = 3 + (137 + i) / 100, column = 50 + (137 + i) % 100;
    ASSERT_EQ(part.host<float>()[static_cast<std::size_t>(i)],
              whole.host<float>()[static_cast<std::size_t>(row * 700 + column)]);
  }
}

TEST(FillNormal, ItsLogarithmAndAnglesAreAccurate) {
  for (int i = 1; i < 100000; ++i) {
    const float u = static_cast<float>(i) / 100000;
    ASSERT_NEAR(ops::log_by_series(u), std::log(static_cast<double>(u)),
                2e-7 * std::abs(std::log(u)) + 1e-9);
    float c, s;
    ops::cos_sin_of_turn(u, c, s);
    ASSERT_NEAR(c, std::cos(2 * M_PI * u), 5e-7) << u;
    ASSERT_NEAR(s, std::sin(2 * M_PI * u), 5e-7) << u;
  }
}

TEST(Fill, WritesAndConverts) {
  const Tensor t({5}, DType::bf16), wide({5}, DType::f64);
  ops::fill(t, 1.5);
  ops::convert(t, wide);
  EXPECT_EQ(doubles(wide), std::vector<double>(5, 1.5));
}

}  // namespace
}  // namespace fusor
