#include "ops/grad_norm.h"

#include <gmock/gmock.h>
#include <omp.h>

#include <array>
#include <cmath>
#include <utility>

#include "ops/blocks.h"
#include "tests/near.h"

namespace fusor::ops {
namespace {

std::vector<Tensor> gradients(DType dtype) {
  std::vector<Tensor> tensors;
  for (const Shape& shape : {Shape{3, 7}, Shape{0}, Shape{2 * Blocks::kBlock + 45}, Shape{1}})
    tensors.push_back(cast(noise(shape, DType::bf16, tensors.size()), dtype));
  return tensors;
}

double summed(std::span<const Tensor> tensors) {
  const Tensor sum({ExactSum::kLimbs}, DType::i64);
  sum_squares(tensors, sum);
  return ExactSum::value(sum.data<std::int64_t>());
}

TEST(SumSquares, CountsEveryElementOnce) {
  double want = 0;
  for (const Tensor& t : gradients(DType::f64))
    for (const double x : doubles(t)) want += x * x;
  for (const DType dtype : {DType::f64, DType::f32, DType::bf16, DType::f16})
    EXPECT_NEAR(summed(gradients(dtype)), want, 1e-12 * want) << dtype;
}

TEST(SumSquares, OfNothingIsZero) { EXPECT_EQ(summed({}), 0); }

TEST(SumSquares, DoesNotOverflowInF32) {
  const Tensor t({1}, DType::f32);
  set(t, 0, 1e30);
  EXPECT_NEAR(summed(std::vector{t}), 1e60, 1e53);
}

TEST(SumSquares, ThreadsChangeNoBit) {
  const int before = omp_get_max_threads();
  std::vector<double> sums;
  for (const int threads : {1, 2, 3}) {
    omp_set_num_threads(threads);
    sums.push_back(summed(gradients(DType::f32)));
  }
  omp_set_num_threads(before);
  EXPECT_THAT(sums, testing::Each(sums[0]));
}

struct Clipped {
  double scale, norm;
};
Clipped clipped(double sum, double inv_count, double max_norm, double loss_scale = 0) {
  const Tensor limbs({ExactSum::kLimbs}, DType::i64), scale({1}, DType::f64), norm({1}, DType::f64);
  std::ranges::fill(limbs.host<std::int64_t>(), 0);
  ExactSum squares;
  squares.add(sum);
  squares.add_to(limbs.data<std::int64_t>());
  const Tensor count({1}, DType::f64);
  set(count, 0, inv_count);
  const Tensor of_loss = loss_scale > 0 ? Tensor({1}, DType::f64) : Tensor();
  if (of_loss.defined()) set(of_loss, 0, loss_scale);
  clip_scale(limbs, count, max_norm, scale, norm, of_loss);
  return {at(scale, 0), at(norm, 0)};
}

TEST(ExactSum, LosesNothingAndCarries) {
  std::array<std::int64_t, ExactSum::kLimbs> limbs{};
  ExactSum sum;
  for (const double x : {0.0, 0x1p-1074, 0x1.8p-1000, 0x1.fffffffffffffp0, 0x1p1000}) sum.add(x);
  sum.add_to(limbs.data());
  EXPECT_EQ(ExactSum::value(limbs.data()), 0x1p1000);
  ExactSum top;
  top.add(0x1p1000);
  std::array<std::int64_t, ExactSum::kLimbs> negative{};
  top.add_to(negative.data());
  for (std::size_t i = 0; i < limbs.size(); ++i) limbs[i] -= negative[i];
  EXPECT_EQ(ExactSum::value(limbs.data()), 0x1.fffffffffffffp0);
  ExactSum many;
  for (int i = 0; i < 1 << 20; ++i) many.add(0x1.fffffffffffffp31);
  limbs.fill(0);
  many.add_to(limbs.data());
  EXPECT_EQ(ExactSum::value(limbs.data()), 0x1.fffffffffffffp51);
  many.add(INFINITY);
  many.add_to(limbs.data());
  EXPECT_TRUE(std::isnan(ExactSum::value(limbs.data())));
}

TEST(SumSquares, CutsAtMultiplesOf64ChangeNoBit) {
  const Tensor whole({1000}, DType::f64);
  fill(whole, [](std::size_t i) { return std::exp(10 * std::sin(static_cast<double>(i))); });
  const double expected = summed(std::vector{whole});
  for (const std::int64_t cut : {64, 128, 960})
    EXPECT_EQ(summed(std::vector{whole.slice(cut, {1000 - cut}), whole.slice(0, {cut})}), expected);
}

TEST(ClipScale, BringsTheMeansNormDownToMaxNorm) {
  const auto [scale, norm] = clipped(/*sum=*/64, /*inv_count=*/0.5, /*max_norm=*/1);
  EXPECT_EQ(norm, 4);
  EXPECT_DOUBLE_EQ(scale, 0.5 * 1 / (4 + 1e-6));
}

TEST(ClipScale, LeavesSmallGradientsAlone) {
  EXPECT_EQ(clipped(64, 0.5, 5).scale, 0.5);
  EXPECT_EQ(clipped(0, 0.5, 1).scale, 0.5);
}

TEST(ClipScale, MaxNormOfZeroDoesNotClip) { EXPECT_EQ(clipped(64, 0.5, 0).scale, 0.5); }

TEST(ClipScale, UpdatesNothingByWhatIsNotANumber) {
  for (const double max_norm : {0.0, 1.0}) {
    const auto [scale, norm] = clipped(NAN, 0.5, max_norm);
    EXPECT_EQ(scale, 0);
    EXPECT_TRUE(std::isnan(norm));
  }
}

TEST(ClipScale, UndoesTheScaleOfTheLoss) {
  const auto [scale, norm] = clipped(64 * 1024 * 1024, 0.5, 1, 1024);
  EXPECT_EQ(norm, 4);
  EXPECT_DOUBLE_EQ(scale, 0.5 / 1024 / (4 + 1e-6));
  EXPECT_EQ(clipped(64, 0.5, 0, 1024).scale, 0.5 / 1024);
}

}  // namespace
}  // namespace fusor::ops
