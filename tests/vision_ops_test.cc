// Operators of vision by their definitions; the ladder has their gradients.
#include <gmock/gmock.h>

#include <array>
#include <cmath>

#include "ops/conv2d.h"
#include "ops/pixels.h"
#include "ops/pool2d.h"
#include "ops/soft_cross_entropy.h"
#include "runtime/target.h"
#include "tests/near.h"
#include "tests/thrown_by.h"

namespace fusor {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Tensor of(const Shape& shape, const std::vector<double>& values, DType dtype = DType::f32) {
  const Tensor t(shape, dtype);
  fill(t, [&](std::size_t i) { return values[i]; });
  return t;
}

TEST(Conv2d, IsTheSumOverItsWindow) {
  // One channel: a filter that takes what is above and what is right, of zeros around 3 x 3.
  const Tensor x = of({1, 3, 3, 1}, {1, 2, 3, 4, 5, 6, 7, 8, 9});
  const Tensor w = of({1, 3, 3, 1}, {0, 1, 0, 0, 0, 10, 0, 0, 0});
  const Var y =
      conv2d(Var::input(x), Var::input(w), Var::input(of({1}, {0.5})), Conv2dOptions::padded(1));
  EXPECT_THAT(doubles(y.value()), ElementsAre(20.5, 30.5, 0.5, 51.5, 62.5, 3.5, 84.5, 95.5, 6.5));
}

TEST(Conv2d, ShapesFollowStrideAndDilation) {
  EXPECT_EQ(conv2d_shape({2, 224, 224, 3}, {64, 7, 7, 3}, Conv2dOptions::padded(3, 2)),
            (Shape{2, 112, 112, 64}));
  EXPECT_EQ(conv2d_shape({1, 9, 10, 4}, {6, 3, 3, 2}, {.dilation = {2, 3}, .groups = 2}),
            (Shape{1, 5, 4, 6}));
}

TEST(Conv2d, NamesTheShapesThatDoNotFit) {
  const auto run = [](Shape x, Shape w, const Conv2dOptions& o) {
    return thrown_by([&] { conv2d_shape(x, w, o); });
  };
  EXPECT_THAT(run({1, 4, 4, 3}, {8, 3, 3, 4}, {}), HasSubstr("[1, 4, 4, 3] and w [8, 3, 3, 4]"));
  EXPECT_THAT(run({1, 4, 4, 4}, {9, 3, 3, 2}, {.groups = 2}), HasSubstr("in 2 groups"));
  EXPECT_THAT(run({1, 4, 4, 3}, {8, 5, 5, 3}, {}), HasSubstr("does not fit"));
}

TEST(MaxPool2d, GivesTheGradientToTheFirstOfEquals) {
  Tape tape;
  const Var x = Var::input(of({1, 2, 4, 1}, {3, 3, 1, 2, 3, 3, 5, 0}), &tape, true);
  const Var y = max_pool2d(x, {});
  EXPECT_THAT(doubles(y.value()), ElementsAre(3, 5));
  tape.backward(y, of({1, 1, 2, 1}, {7, 9}));
  EXPECT_THAT(doubles(x.grad().tensor()), ElementsAre(7, 0, 0, 0, 0, 0, 9, 0));
}

TEST(MaxPool2d, HandsOnWhatIsNoNumber) {
  const Tensor x = of({1, 2, 2, 1}, {3, NAN, 5, 1});
  EXPECT_TRUE(std::isnan(doubles(max_pool2d(Var::input(x), {}).value())[0]));
}

TEST(MeanPool2d, CountsWhatLiesOutsideOrNot) {
  const Tensor x = of({1, 2, 2, 1}, {4, 8, 12, 16});
  const Pool2dOptions corner{.size = {2, 2}, .stride = {2, 2}, .before = {1, 1}, .after = {1, 1}};
  EXPECT_THAT(doubles(mean_pool2d(Var::input(x), corner).value()), ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(doubles(mean_pool2d(Var::input(x), corner, false).value()),
              ElementsAre(4, 8, 12, 16));
}

TEST(SoftTargets, MixAndSmooth) {
  const Tensor labels({3}, DType::i32), others({3}, DType::i32);
  fill(labels, [](std::size_t i) { return std::array{0, 1, kIgnoredTarget}[i]; });
  fill(others, [](std::size_t i) { return std::array{3, 1, 2}[i]; });
  const Tensor shares = of({3}, {0.75, 0.25, 0.5});
  const auto near = [](double x) { return testing::DoubleNear(x, 1e-7); };
  EXPECT_THAT(doubles(soft_targets({labels, others, shares}, 4, 0.2)),
              ElementsAre(near(0.65), near(0.05), near(0.05), near(0.25),  //
                          near(0.05), near(0.85), near(0.05), near(0.05), 0, 0, 0, 0));
}

TEST(SoftCrossEntropy, IsThatOfOneClassWhereAllIsHers) {
  const Tensor labels({2}, DType::i32);
  fill(labels, [](std::size_t i) { return i == 0 ? 2 : kIgnoredTarget; });
  const Tensor logits = of({2, 3}, {1, -2, 0.5, 7, 7, 7});
  const double want = std::log(std::exp(1) + std::exp(-2) + std::exp(0.5)) - 0.5;
  const Var loss = soft_cross_entropy(Var::input(logits), soft_targets({labels}, 3));
  EXPECT_NEAR(doubles(loss.value())[0], want, 1e-6);
}

TEST(TopKHits, CountEqualLogitsFromTheFirstOn) {
  const Tensor logits = of({5, 4}, {9, 1, 1, 1, 1, 5, 5, 0, 1, 5, 5, 0, 0, 1, 2, NAN, 1, 2, 3, 4});
  const Tensor labels({5}, DType::i32), hits({3}, DType::f64);
  // ranks: 1 (ties with later ones), 0, 1 (a tie with an earlier one), 3 (no number), none
  fill(labels, [](std::size_t i) { return std::array{1, 1, 2, 3, kIgnoredTarget}[i]; });
  top_k_hits(logits, labels, std::array<std::int64_t, 3>{1, 2, 100}, hits);
  EXPECT_THAT(doubles(hits), ElementsAre(1, 3, 4));
}

TEST(TopKHits, NameALabelThatIsNone) {
  const Tensor labels({1}, DType::i32);
  fill(labels, [](std::size_t) { return 4; });
  EXPECT_THAT(thrown_by([&] { soft_targets({labels}, 4); }), HasSubstr("label 4 of 4 classes"));
}

TEST(ScaledPixels, AreOfBytesAndFloatsStay) {
  const PixelScale scale{.mean = {0.5, 0.25}, .std = {0.5, 2}};
  const Tensor bytes({1, 1, 2, 2}, DType::u8);
  const auto to = bytes.host<std::uint8_t>();
  to[0] = 0, to[1] = 255, to[2] = 51, to[3] = 0;
  const auto near = [](double x) { return testing::DoubleNear(x, 1e-6); };
  EXPECT_THAT(doubles(scaled_pixels(bytes, scale, DType::f32)),
              ElementsAre(near(-1), near(0.375), near(-0.6), near(-0.125)));
  const Tensor floats = of({1, 1, 2, 2}, {0, 1, 0.25, -3});
  EXPECT_THAT(doubles(scaled_pixels(floats, scale, DType::f64)), ElementsAre(0, 1, 0.25, -3));
}

}  // namespace
}  // namespace fusor
