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

TEST(CpuMath, NormalDistributionToItsTails) {
  double worst_below = 0, worst_bell = 0;
  for (float x = -13; x <= 13; x += 0x1p-12f) {
    const NormalAt<float> got = normal_at(x);
    const NormalAt<double> want = normal_at(static_cast<double>(x));
    worst_below = std::max(worst_below, std::abs(got.below / want.below - 1));
    worst_bell = std::max(worst_bell, std::abs(got.bell / want.bell - 1));
  }
  EXPECT_LT(worst_below, 1e-5);
  EXPECT_LT(worst_bell, 1e-5);
}

TEST(CpuMath, ErfGeluIsCloseInF32) {
  double value = 0, slope = 0;
  for (float x = -20; x <= 20; x += 0x1p-12f) {
    const double wide = x, scale = std::max(1.0, std::abs(wide));
    value = std::max(value, std::abs(erf_gelu(x) - erf_gelu(wide)) / scale);
    slope = std::max(slope, std::abs(derf_gelu(x) - derf_gelu(wide)));
  }
  EXPECT_LT(value, 4e-7);
  EXPECT_LT(slope, 6e-7);
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
  EXPECT_EQ(normal_at(0.0f).bell, 1.0f);
  EXPECT_EQ(normal_at(-kInf).below, 0.0f);
  EXPECT_EQ(normal_at(kInf).below, 1.0f);
  EXPECT_TRUE(std::isnan(normal_at(kNan).below));
}

}  // namespace
}  // namespace fusor::ops::cpu
