#include "io/image_transforms.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "tests/golden_image.h"
#include "tests/thrown_by.h"

namespace fusor {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class Transforms : public ::testing::Test {
 protected:
  const GoldenImages golden_;
  const Image picture_ = golden_.image("rgb"), grey_ = golden_.image("grey");
};

TEST_F(Transforms, ResizeIsPillowsToOneLevel) {
  for (const ResizeFilter filter : {ResizeFilter::bilinear, ResizeFilter::bicubic}) {
    const std::string name =
        filter == ResizeFilter::bilinear ? "resize.bilinear." : "resize.bicubic.";
    for (const auto& [height, width] : {std::pair(16, 16), {45, 20}, {80, 66}, {7, 128}}) {
      const std::string shape = std::to_string(height) + "x" + std::to_string(width);
      EXPECT_LE(distance(resize(picture_, height, width, filter), golden_.image(name + shape)), 1)
          << name << shape;
    }
    const ImageBox box{.top = 3.25, .left = 10.5, .height = 37.5, .width = 39.5};
    EXPECT_LE(distance(resize(picture_, box, 24, 24, filter), golden_.image(name + "box")), 1);
    EXPECT_LE(distance(resize(grey_, 24, 24, filter), golden_.image(name + "grey")), 1);
  }
}

TEST_F(Transforms, TheShorterSideGetsTheSize) {
  const Image small = resize_shorter(picture_, 20);
  EXPECT_EQ(small.height, 20);
  EXPECT_EQ(small.width, 28);  // floor(20 * 64 / 45)
  EXPECT_EQ(distance(resize(picture_, 45, 64), picture_), 0);
  EXPECT_THAT(thrown_by([&] {
                resize(picture_, {1, 1, 45, 20}, 8, 8);
              }),
              HasSubstr("of 20 x 45 is not inside an image of 64 x 45"));
}

TEST_F(Transforms, ColoursAndRotationsArePillows) {
  for (const float factor : {0.0f, 0.4f, 1.3f, 2.5f}) {
    std::ostringstream text;
    text << factor;
    EXPECT_LE(
        distance(with_brightness(picture_, factor), golden_.image("brightness." + text.str())), 0);
    EXPECT_LE(distance(with_contrast(picture_, factor), golden_.image("contrast." + text.str())),
              0);
    EXPECT_LE(
        distance(with_saturation(picture_, factor), golden_.image("saturation." + text.str())), 0);
  }
  EXPECT_EQ(distance(with_saturation(grey_, 0.5f), grey_), 0);
  EXPECT_EQ(distance(rotate(picture_, 10), golden_.image("rotate.10")), 0);
  EXPECT_EQ(distance(rotate(picture_, -33.5), golden_.image("rotate.-33.5")), 0);
  EXPECT_EQ(distance(rotate(picture_, 180), golden_.image("rotate.180")), 0);
}

// The byte at (y, x) of a 3 x 4 grey image is 10 y + x + 1.
Image numbered() {
  Image image(3, 4, 1);
  for (std::int64_t y = 0; y < 3; ++y)
    for (std::int64_t x = 0; x < 4; ++x)
      image.row(y)[x] = static_cast<std::uint8_t>(10 * y + x + 1);
  return image;
}

TEST(Pixels, CropsAndFlips) {
  EXPECT_THAT(crop(numbered(), {1, 2, 2, 2}).pixels, ElementsAre(13, 14, 23, 24));
  EXPECT_THAT(thrown_by([] { crop(numbered(), {2, 0, 2, 2}); }), HasSubstr("not inside an image"));
  EXPECT_THAT(centre_crop(numbered(), 1, 2).pixels, ElementsAre(12, 13));
  EXPECT_THAT(flip(numbered()).pixels, ElementsAre(4, 3, 2, 1, 14, 13, 12, 11, 24, 23, 22, 21));
  EXPECT_THAT(flip(with_channels(crop(numbered(), {0, 0, 1, 2}), 3)).pixels,
              ElementsAre(2, 2, 2, 1, 1, 1));
}

TEST(Pixels, PadAndCropShiftsInBlack) {
  EXPECT_EQ(pad_and_crop(numbered(), 2, 2, 2).pixels, numbered().pixels);
  EXPECT_THAT(pad_and_crop(numbered(), 2, 1, 4).pixels,
              ElementsAre(0, 0, 0, 0, 3, 4, 0, 0, 13, 14, 0, 0));
  EXPECT_THAT(pad_and_crop(numbered(), 5, 0, 5).pixels, Each(0));
  EXPECT_THAT(thrown_by([] { pad_and_crop(numbered(), 2, 5, 0); }),
              HasSubstr("not within a padding of 2"));
}

TEST(Pixels, NumbersAreNormalisedByChannel) {
  Image image(1, 2, 3);
  image.pixels = {0, 51, 255, 255, 102, 0};
  std::vector<float> numbers(6);
  to_numbers(image, {{0.5f, 0.2f, 0}, {0.25f, 0.1f, 1}}, numbers);
  EXPECT_THAT(numbers, ::testing::Pointwise(::testing::FloatNear(1e-6f),
                                            std::vector<float>{-2, 0, 1, 2, 2, 0}));
  EXPECT_THAT(thrown_by([&] {
                to_numbers(image, {{0}, {1}}, numbers);
              }),
              HasSubstr("3 channels cannot be normalised by 1 means"));
}

TEST(Pixels, EraseClearsItsPart) {
  std::vector<float> numbers(3 * 4 * 2, 1.0f);
  erase(numbers, 4, 2, {1, 1, 2, 3});
  for (std::size_t i = 0; i < numbers.size(); ++i)
    EXPECT_EQ(numbers[i], i >= 8 && i / 2 % 4 >= 1 ? 0 : 1) << i;
}

}  // namespace
}  // namespace fusor
