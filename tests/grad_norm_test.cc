#include "ops/grad_norm.h"

#include <gmock/gmock.h>
#include <omp.h>

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
  const Tensor out({1}, DType::f64);
  sum_squares(tensors, out);
  return at(out, 0);
}

TEST(SumSquares, CountsEveryElementOnce) {
  double want = 0;
  for (const Tensor& t : gradients(DType::f64))
    for (const double x : doubles(t)) want += x * x;
  for (const DType dtype : {DType::f64, DType::f32, DType::bf16})
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
Clipped clipped(double sum, double inv_count, double max_norm) {
  const Tensor sum_squares({1}, DType::f64), scale({1}, DType::f64), norm({1}, DType::f64);
  set(sum_squares, 0, sum);
  clip_scale(sum_squares, inv_count, max_norm, scale, norm);
  return {at(scale, 0), at(norm, 0)};
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

TEST(ClipScale, SpreadsWhatIsNotANumber) { EXPECT_TRUE(std::isnan(clipped(NAN, 0.5, 1).scale)); }

}  // namespace
}  // namespace fusor::ops
