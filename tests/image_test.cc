#include "io/image.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/golden_image.h"
#include "tests/thrown_by.h"

namespace fusor {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class ImageTest : public ::testing::Test {
 protected:
  Image decoded(const std::string& name, std::int64_t channels) const {
    return decode_image(golden_.file(name), channels, name);
  }
  static std::string fault_of(std::span<const std::byte> file) {
    return thrown_by([&] { decode_image(file, 3, "a.file"); });
  }
  const GoldenImages golden_;
};

TEST_F(ImageTest, PngsDecodeToTheirPixels) {
  EXPECT_EQ(distance(decoded("png.rgb", 3), golden_.image("rgb")), 0);
  EXPECT_EQ(distance(decoded("png.grey", 1), golden_.image("grey")), 0);
  EXPECT_EQ(distance(decoded("png.palette", 3), golden_.image("palette")), 0);
  EXPECT_EQ(distance(decoded("png.bits", 1), golden_.image("bits")), 0);
  EXPECT_EQ(distance(decoded("png.grey16", 1), golden_.image("grey")), 0);
}

TEST_F(ImageTest, ChannelsAreMadeAsAskedFor) {
  EXPECT_EQ(distance(decoded("png.rgb", 1), golden_.image("grey")), 0);
  const Image grey = golden_.image("grey"), colour = decoded("png.grey", 3);
  for (std::size_t i = 0; i < colour.pixels.size(); ++i)
    ASSERT_EQ(colour.pixels[i], grey.pixels[i / 3]);
  EXPECT_THAT(thrown_by([&] { with_channels(grey, 4); }), HasSubstr("1 or 3 channels, not 4"));
}

TEST_F(ImageTest, WhatIsTransparentIsLaidOverWhite) {
  const Image rgba = golden_.image("rgba"), found = decoded("png.rgba", 3);
  for (std::size_t i = 0; i < found.pixels.size() / 3; ++i)
    for (std::size_t c = 0; c < 3; ++c) {
      const double alpha = rgba.pixels[4 * i + 3] / 255.0;
      EXPECT_NEAR(found.pixels[3 * i + c], alpha * rgba.pixels[4 * i + c] + (1 - alpha) * 255,
                  0.51);
    }
  EXPECT_LE(distance(decoded("png.grey_alpha", 1), with_channels(found, 1)), 1);
}

// Versions of the library may round the last bit otherwise.
TEST_F(ImageTest, JpegsDecodeAsPillowDecodesThem) {
  for (const std::string name : {"jpeg.rgb", "jpeg.progressive"})
    EXPECT_LE(distance(decoded(name, 3), golden_.image(name + ".decoded")), 1) << name;
  EXPECT_LE(distance(decoded("jpeg.grey", 1), golden_.image("jpeg.grey.decoded")), 1);
  EXPECT_LE(distance(decoded("jpeg.cmyk", 3), golden_.image("jpeg.cmyk.decoded")), 2);
  const Image colour = golden_.image("jpeg.rgb.decoded");
  EXPECT_LE(distance(decoded("jpeg.rgb", 1), with_channels(colour, 1)), 3);
}

TEST_F(ImageTest, SizesAreToldWithoutDecoding) {
  EXPECT_THAT(image_size(golden_.file("png.palette"), ""), ElementsAre(45, 64));
  EXPECT_THAT(image_size(golden_.file("jpeg.progressive"), ""), ElementsAre(45, 64));
}

TEST_F(ImageTest, EveryTruncationIsNamed) {
  for (const std::string name : {"png.rgb", "png.palette", "jpeg.rgb", "jpeg.progressive"}) {
    const auto file = golden_.file(name);
    for (std::size_t size = 0; size + 2 < file.size(); size += 97)
      EXPECT_THAT(fault_of(std::span(file).first(size)), StartsWith("a.file is ")) << name << size;
  }
  EXPECT_THAT(fault_of({}), HasSubstr("a.file is neither a JPEG nor a PNG file"));
}

TEST_F(ImageTest, DamageIsFoundByThePngChecksums) {
  auto file = golden_.file("png.rgb");  // its last 12 bytes are the end's chunk
  file[file.size() - 14] ^= std::byte{1};
  EXPECT_THAT(fault_of(file),
              AllOf(StartsWith("a.file is a corrupt PNG file: "), HasSubstr("CRC")));
}

TEST_F(ImageTest, HugeClaimsAreRefused) {
  auto jpeg = golden_.file("jpeg.rgb");
  for (std::size_t i = 0; i + 9 < jpeg.size(); ++i)
    if (jpeg[i] == std::byte{0xff} && jpeg[i + 1] == std::byte{0xc0})  // the frame's header
      std::fill_n(jpeg.begin() + static_cast<std::ptrdiff_t>(i) + 5, 4, std::byte{0xfe});
  EXPECT_THAT(fault_of(jpeg), HasSubstr("a.file claims 65278 x 65278 pixels; at most 67108864"));
}

}  // namespace
}  // namespace fusor
