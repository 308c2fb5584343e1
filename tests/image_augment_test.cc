#include "io/image_augment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "io/image_tones.h"
#include "tests/golden_image.h"
#include "tests/thrown_by.h"

namespace fusor {
namespace {

using ::testing::Each;
using ::testing::HasSubstr;

RandomKey key_of(std::uint64_t i) { return random_key(1, "test", i); }

// The mean and variance of n draws.
template <class F>
std::pair<double, double> moments(F&& draw, int n = 20000) {
  double sum = 0, squares = 0;
  for (int i = 0; i < n; ++i) {
    const double x = draw();
    sum += x, squares += x * x;
  }
  return {sum / n, squares / n - sum / n * (sum / n)};
}

TEST(Draws, HaveTheMomentsOfTheirDistributions) {
  Draws draws(key_of(0));
  const auto [normal_mean, normal_variance] = moments([&] { return draws.normal(); });
  EXPECT_NEAR(normal_mean, 0, 0.03);
  EXPECT_NEAR(normal_variance, 1, 0.05);
  for (const double alpha : {0.2, 1.0, 3.5}) {
    const auto [mean, variance] = moments([&] { return draws.gamma(alpha); });
    EXPECT_NEAR(mean, alpha, 0.03 * (1 + alpha)) << alpha;
    EXPECT_NEAR(variance, alpha, 0.15 * (0.5 + alpha)) << alpha;
    const auto [share, spread] = moments([&] { return draws.beta(alpha, alpha); });
    EXPECT_NEAR(share, 0.5, 0.02) << alpha;
    EXPECT_NEAR(spread, 1 / (4 * (2 * alpha + 1)), 0.01) << alpha;
  }
  std::array<int, 7> counts{};
  for (int i = 0; i < 7000; ++i) ++counts.at(static_cast<std::size_t>(draws.below(7)));
  EXPECT_THAT(counts, Each(::testing::AllOf(::testing::Gt(850), ::testing::Lt(1150))));
}

TEST(RandomCrop, LiesInsideWithItsAreaAndAspect) {
  double areas = 0;
  for (std::uint64_t i = 0; i < 2000; ++i) {
    Draws draws(key_of(i));
    const PixelBox box = draw_crop(draws, 300, 400, {});
    ASSERT_TRUE(box.top >= 0 && box.left >= 0 && box.top + box.height <= 300 &&
                box.left + box.width <= 400);
    const double area = static_cast<double>(box.height * box.width) / (300 * 400),
                 aspect = static_cast<double>(box.width) / static_cast<double>(box.height);
    ASSERT_TRUE(area > 0.078 && aspect > 0.74 && aspect < 1.36) << area << ' ' << aspect;
    areas += area;
  }
  EXPECT_NEAR(areas / 2000, 0.431, 0.02);  // large ones fit more rarely; simulated with NumPy
}

TEST(RandomCrop, WhatNeverFitsIsTheMiddle) {
  Draws draws(key_of(0));
  const PixelBox wide = draw_crop(draws, 30, 1000, {.least_area = 0.9}),
                 high = draw_crop(draws, 1000, 30, {.least_area = 0.9});
  EXPECT_EQ(wide.width, 40);
  EXPECT_EQ(wide.left, 480);
  EXPECT_EQ(high.height, 40);
  EXPECT_EQ(high.top, 480);
}

class Augment : public ::testing::Test {
 protected:
  std::vector<float> augmented(const ImageAugment& how, std::uint64_t key) const {
    std::vector<float> out(32 * 32 * 3);
    augment(picture_, how, key_of(key), 32, 32, kBytes, out);
    return out;
  }
  static std::vector<float> numbers(const Image& image) {
    return {image.pixels.begin(), image.pixels.end()};
  }
  const Normalisation kBytes{{0, 0, 0}, {1.0f / 255, 1.0f / 255, 1.0f / 255}};
  const GoldenImages golden_;
  const Image picture_ = golden_.image("rgb");
};

auto near(const std::vector<float>& expected) {
  return ::testing::Pointwise(::testing::FloatNear(1e-3f), expected);
}

TEST_F(Augment, IsAFunctionOfItsKey) {
  const ImageAugment all{.degrees = 10,
                         .brightness = 0.4,
                         .contrast = 0.4,
                         .saturation = 0.4,
                         .rand_augment_ops = 2,
                         .erase = 0.5};
  std::set<std::vector<float>> different;
  for (std::uint64_t i = 0; i < 20; ++i) {
    EXPECT_EQ(augmented(all, i), augmented(all, i));
    different.insert(augmented(all, i));
  }
  EXPECT_EQ(different.size(), 20u);
}

TEST_F(Augment, NothingAskedForScalesAlone) {
  const ImageAugment none{.framing = Framing::whole, .flip = 0};
  EXPECT_THAT(augmented(none, 1), near(numbers(resize(picture_, 32, 32))));
}

TEST_F(Augment, FlipsAndShiftsAreDrawn) {
  const Image scaled = resize(picture_, 32, 32);
  const auto straight = numbers(scaled), flipped = numbers(flip(scaled));
  int flips = 0;
  std::set<std::vector<float>> shifted;
  for (std::uint64_t i = 0; i < 200; ++i) {
    const auto found = augmented({.framing = Framing::whole}, i);
    flips += std::abs(found[0] - flipped[0]) < 1e-3f ? 1 : 0;
    EXPECT_TRUE(std::abs(found[0] - flipped[0]) < 1e-3f ||
                std::abs(found[0] - straight[0]) < 1e-3f);
    shifted.insert(augmented({.framing = Framing::padded_crop, .pad = 1, .flip = 0}, i));
  }
  EXPECT_NEAR(flips, 100, 25);
  EXPECT_EQ(shifted.size(), 9u);
}

TEST_F(Augment, ErasesAPartAsOftenAsAskedFor) {
  int erased = 0;
  for (std::uint64_t i = 0; i < 200; ++i) {
    auto found = augmented({.framing = Framing::whole, .flip = 0, .erase = 0.25}, i);
    const auto zeros = std::ranges::count(found, 0.0f);
    erased += zeros > 0 ? 1 : 0;
    EXPECT_LE(zeros, 32 * 32 * 3 * 0.36);
  }
  EXPECT_NEAR(erased, 50, 20);
}

TEST_F(Augment, EvaluationSeesTheMiddle) {
  std::vector<float> out(32 * 32 * 3);
  const Image square = crop(picture_, {0, 10, 45, 45});
  view_middle(square, 32.0 / 36, 32, 32, ResizeFilter::bilinear, kBytes, out);
  EXPECT_THAT(out, ::testing::Pointwise(::testing::FloatNear(1.01f),
                                        numbers(centre_crop(resize_shorter(square, 36), 32, 32))));
  EXPECT_THAT(thrown_by([&] { view_middle(picture_, 1.5, 32, 32, {}, kBytes, out); }),
              HasSubstr("must be in (0, 1], not 1.5"));
}

TEST_F(Augment, TonesArePillows) {
  EXPECT_EQ(distance(posterize(picture_, 3), golden_.image("posterize.3")), 0);
  EXPECT_EQ(distance(solarize(picture_, 100), golden_.image("solarize.100")), 0);
  EXPECT_EQ(distance(auto_contrast(golden_.image("dim")), golden_.image("auto_contrast")), 0);
  EXPECT_EQ(distance(equalize(picture_), golden_.image("equalize")), 0);
  EXPECT_LE(distance(with_sharpness(picture_, 0), golden_.image("sharpness.0")), 1);
  EXPECT_LE(distance(with_sharpness(picture_, 0.4f), golden_.image("sharpness.0.4")), 1);
  EXPECT_LE(distance(with_sharpness(picture_, 1.9f), golden_.image("sharpness.1.9")), 1);
}

TEST_F(Augment, RandAugmentGrowsWithItsMagnitude) {
  const auto changed = [&](int magnitude) {
    double sum = 0;
    for (std::uint64_t i = 0; i < 100; ++i) {
      Draws draws(key_of(i));
      const Image result = rand_augment(picture_, draws, 1, magnitude);
      for (std::size_t p = 0; p < result.pixels.size(); ++p)
        sum += std::abs(int{result.pixels[p]} - int{picture_.pixels[p]});
    }
    return sum;
  };
  EXPECT_LT(changed(3), 0.8 * changed(9));
  EXPECT_LT(changed(9), 0.8 * changed(30));
  Draws draws(key_of(0));
  EXPECT_EQ(distance(rand_augment(picture_, draws, 0, 9), picture_), 0);
  EXPECT_THAT(thrown_by([&] { rand_augment(picture_, draws, 1, 31); }),
              HasSubstr("magnitudes of 0 to 30, not 31"));
}

}  // namespace
}  // namespace fusor
