#include "ops/cpu_math.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <numbers>
#include <vector>

namespace fusor::ops::cpu {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// Distance in units of the last place of the float nearest to `want`.
double ulps(float got, double want) {
  const auto near = static_cast<float>(want);
  if (got == near || (std::isnan(got) && std::isnan(near))) return 0;
  if (!std::isfinite(got) || !std::isfinite(near)) return kInf;
  const double spacing = std::abs(near) < std::numeric_limits<float>::min()
                             ? std::numeric_limits<float>::denorm_min()
                             : std::ldexp(1.0, std::ilogb(near) - 23);
  return std::abs(got - want) / spacing;
}

// Over the whole float range: every 1,021st bit pattern. In blocks, as loops in kernels call them.
template <class F, class Reference>
double worst_ulps(F f, Reference reference) {
  constexpr std::uint32_t kStep = 1021, kBlock = 1024;
  std::vector<float> x(kBlock), y(kBlock);
  double worst = 0;
  for (std::uint64_t begin = 0; begin < (1ull << 32); begin += kStep * kBlock) {
    for (std::uint32_t i = 0; i < kBlock; ++i)
      x[i] = std::bit_cast<float>(static_cast<std::uint32_t>(begin + i * kStep));
    for (std::uint32_t i = 0; i < kBlock; ++i) y[i] = f(x[i]);
    for (std::uint32_t i = 0; i < kBlock; ++i)
      worst = std::max(worst, ulps(y[i], reference(static_cast<double>(x[i]))));
  }
  return worst;
}

TEST(CpuMath, ExpOverTheFloatRange) {
  EXPECT_LT(worst_ulps([](float x) { return exp(x); }, [](double x) { return std::exp(x); }), 2);
}

TEST(CpuMath, TanhOverTheFloatRange) {
  EXPECT_LT(worst_ulps([](float x) { return tanh(x); }, [](double x) { return std::tanh(x); }), 2);
}

TEST(CpuMath, SigmoidOverTheFloatRange) {
  EXPECT_LT(worst_ulps([](float x) { return sigmoid(x); },
                       [](double x) {
                         return x < 0 ? std::exp(x) / (1 + std::exp(x)) : 1 / (1 + std::exp(-x));
                       }),
            3);
}

TEST(CpuMath, Edges) {
  EXPECT_EQ(exp(0.0f), 1.0f);
  EXPECT_EQ(exp(-kInf), 0.0f);
  EXPECT_EQ(exp(kInf), kInf);
  EXPECT_TRUE(std::isnan(exp(kNan)));
  EXPECT_TRUE(std::isnan(exp(-kNan)));
  EXPECT_EQ(tanh(kInf), 1.0f);
  EXPECT_EQ(tanh(-kInf), -1.0f);
  EXPECT_TRUE(std::isnan(tanh(kNan)));
  EXPECT_TRUE(std::signbit(tanh(-0.0f)));
  EXPECT_EQ(sigmoid(-kInf), 0.0f);
  EXPECT_EQ(sigmoid(kInf), 1.0f);
  EXPECT_TRUE(std::isnan(sigmoid(kNan)));
  EXPECT_EQ(exp(1.0), std::numbers::e);
}

}  // namespace
}  // namespace fusor::ops::cpu
