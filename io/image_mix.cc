#include "io/image_mix.h"

#include <algorithm>
#include <cmath>

#include "io/draws.h"
#include "io/image_transforms.h"
#include "runtime/error.h"

namespace fusor {
namespace {

struct Pair {
  std::span<float> a, b;  // [height, width, channels]
};

float mixup(const Pair& pair, float share) {
  for (std::size_t i = 0; i < pair.a.size(); ++i) {
    const float a = pair.a[i], b = pair.b[i];
    pair.a[i] = share * a + (1 - share) * b;
    pair.b[i] = share * b + (1 - share) * a;
  }
  return share;
}

// Around a drawn middle, cut off at the edges.
PixelBox draw_cut(Draws& draws, double area, std::int64_t height, std::int64_t width) {
  const double side = std::sqrt(area);
  const auto span = [&](std::int64_t extent) {
    const auto half = static_cast<std::int64_t>(side * static_cast<double>(extent)) / 2;
    const std::int64_t middle = draws.below(extent);
    const std::int64_t begin = std::max<std::int64_t>(0, middle - half);
    return std::pair(begin, std::min(extent, middle + half) - begin);
  };
  const auto [top, box_height] = span(height);
  const auto [left, box_width] = span(width);
  return {top, left, box_height, box_width};
}

float cutmix(const Pair& pair, const PixelBox& box, std::int64_t width, std::int64_t channels) {
  const auto count = static_cast<std::size_t>(box.width * channels);
  for (std::int64_t y = box.top; y < box.top + box.height; ++y) {
    const auto at = static_cast<std::size_t>((y * width + box.left) * channels);
    std::ranges::swap_ranges(pair.a.subspan(at, count), pair.b.subspan(at, count));
  }
  const auto pixels = static_cast<float>(std::ssize(pair.a) / channels);
  return 1 - static_cast<float>(box.height * box.width) / pixels;
}

}  // namespace

std::vector<MixedWith> mix_images(std::span<float> images, std::int64_t height, std::int64_t width,
                                  std::int64_t channels, std::span<const Sample> samples,
                                  std::span<const std::uint8_t> valid, const ImageMix& how,
                                  std::uint64_t seed) {
  require(how.mixup >= 0 && how.cutmix >= 0, "mixup and cutmix cannot be negative: ", how.mixup,
          " and ", how.cutmix);
  const std::size_t n = samples.size();
  const auto each = static_cast<std::size_t>(height * width * channels);
  const KeyStem stem = key_stem(seed, "data/mix");
  std::vector<MixedWith> mixed(n);
  for (std::size_t i = 0; i < n; ++i) mixed[i].other = static_cast<std::int64_t>(i);
  if (how.mixup == 0 && how.cutmix == 0) return mixed;
  for (std::size_t i = 0; i < n / 2; ++i) {
    const std::size_t j = n - 1 - i;
    Draws draws(key_at(stem, static_cast<std::uint64_t>(samples[i].position)));
    if (valid[i] == 0 || valid[j] == 0 || !draws.chance(how.probability)) continue;
    const bool cut = how.mixup == 0 || (how.cutmix > 0 && draws.chance(0.5));
    const double alpha = cut ? how.cutmix : how.mixup, share = draws.beta(alpha, alpha);
    const Pair pair{images.subspan(i * each, each), images.subspan(j * each, each)};
    const float own = cut ? cutmix(pair, draw_cut(draws, 1 - share, height, width), width, channels)
                          : mixup(pair, static_cast<float>(share));
    mixed[i] = {static_cast<std::int64_t>(j), own};
    mixed[j] = {static_cast<std::int64_t>(i), own};
  }
  return mixed;
}

}  // namespace fusor
