#include "io/image_mix.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace fusor {
namespace {

constexpr std::int64_t kHeight = 6, kWidth = 5, kChannels = 2;
constexpr std::size_t kEach = kHeight * kWidth * kChannels;

// Image i is i everywhere.
struct Mixed {
  Mixed(std::size_t n, const ImageMix& how, std::int64_t position = 0,
        std::vector<std::uint8_t> valid = {})
      : images(n * kEach) {
    std::vector<Sample> samples(n);
    for (std::size_t i = 0; i < n; ++i) {
      samples[i].position = position + static_cast<std::int64_t>(i);
      std::fill_n(images.begin() + static_cast<std::ptrdiff_t>(i * kEach), kEach,
                  static_cast<float>(i));
    }
    valid.resize(n, 1);
    with = mix_images(images, kHeight, kWidth, kChannels, samples, valid, how, 7);
  }
  std::span<const float> image(std::size_t i) const {
    return std::span(images).subspan(i * kEach, kEach);
  }
  std::vector<float> images;
  std::vector<MixedWith> with;
};

TEST(ImageMix, MixupAddsItsShares) {
  const Mixed mixed(6, {.mixup = 0.8});
  for (std::size_t i = 0; i < 6; ++i) {
    const auto [other, share] = mixed.with[i];
    EXPECT_EQ(other, 5 - static_cast<std::int64_t>(i));
    EXPECT_EQ(share, mixed.with[5 - i].share);
    for (const float value : mixed.image(i))
      ASSERT_NEAR(value, share * static_cast<float>(i) + (1 - share) * static_cast<float>(other),
                  1e-5);
  }
}

TEST(ImageMix, CutmixSwapsAsMuchAsItsShareSays) {
  std::set<float> shares;
  for (std::int64_t position = 0; position < 400; position += 4) {
    const Mixed mixed(4, {.cutmix = 1}, position);
    for (std::size_t i = 0; i < 4; ++i) {
      const auto own = std::ranges::count(mixed.image(i), static_cast<float>(i)),
                 other = std::ranges::count(mixed.image(i), static_cast<float>(3 - i));
      ASSERT_EQ(own + other, kEach);
      EXPECT_NEAR(mixed.with[i].share, static_cast<float>(own) / kEach, 1e-6);
      shares.insert(mixed.with[i].share);
    }
  }
  EXPECT_GE(shares.size(), 8u);
}

TEST(ImageMix, DependsOnPositionsAlone) {
  const ImageMix both{.mixup = 0.2, .cutmix = 1};
  EXPECT_EQ(Mixed(4, both, 8).images, Mixed(4, both, 8).images);
  EXPECT_NE(Mixed(4, both, 8).images, Mixed(4, both, 12).images);
  int cut = 0;
  for (std::int64_t position = 0; position < 400; position += 2) {
    const Mixed mixed(2, both, position);
    cut += std::ranges::all_of(mixed.images, [](float v) { return v == 0 || v == 1; }) ? 1 : 0;
  }
  EXPECT_NEAR(cut, 100, 30);
}

TEST(ImageMix, SomeAreLeftAlone) {
  const Mixed odd(3, {.mixup = 1});
  EXPECT_EQ(odd.with[1].other, 1);
  EXPECT_EQ(odd.with[1].share, 1);
  EXPECT_EQ(odd.image(1)[0], 1);
  const Mixed one_bad(4, {.mixup = 1}, 0, {1, 1, 1, 0});
  EXPECT_EQ(one_bad.with[0].share, 1);
  EXPECT_EQ(one_bad.with[3].share, 1);
  EXPECT_LT(one_bad.with[1].share, 1);
  int mixed = 0;
  for (std::int64_t position = 0; position < 400; position += 2)
    mixed += Mixed(2, {.mixup = 1, .probability = 0.3}, position).with[0].other == 1 ? 1 : 0;
  EXPECT_NEAR(mixed, 60, 25);
}

}  // namespace
}  // namespace fusor
