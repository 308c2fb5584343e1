#include "io/image_tones.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <functional>

#include "io/image_transforms.h"

namespace fusor {
namespace {

using Table = std::array<std::uint8_t, 256>;
using Histogram = std::array<std::int64_t, 256>;

template <class F>
Image by_byte(const Image& image, F&& f) {
  Table table;
  for (int byte = 0; byte < 256; ++byte)
    table[static_cast<std::size_t>(byte)] = static_cast<std::uint8_t>(f(byte));
  Image result = image;
  for (std::uint8_t& pixel : result.pixels) pixel = table[pixel];
  return result;
}

// Each channel by the table made of its histogram.
template <class MakeTable>
Image by_channel(const Image& image, MakeTable&& make_table) {
  Image result = image;
  const auto channels = static_cast<std::size_t>(image.channels);
  for (std::size_t c = 0; c < channels; ++c) {
    Histogram histogram{};
    for (std::size_t i = c; i < image.pixels.size(); i += channels) ++histogram[image.pixels[i]];
    const Table table = make_table(histogram);
    for (std::size_t i = c; i < image.pixels.size(); i += channels)
      result.pixels[i] = table[image.pixels[i]];
  }
  return result;
}

Image smoothed(const Image& image) {
  Image result = image;
  const std::int64_t step = image.channels, line = image.width * step;
  for (std::int64_t y = 1; y + 1 < image.height; ++y)
    for (std::int64_t x = step; x < line - step; ++x) {
      const std::uint8_t* const p = image.row(y) + x;
      const int around = p[-line - step] + p[-line] + p[-line + step] + p[-step] + p[step] +
                         p[line - step] + p[line] + p[line + step];
      result.row(y)[x] = static_cast<std::uint8_t>((2 * (around + 5 * p[0]) + 13) / 26);
    }
  return result;
}

}  // namespace

Image with_sharpness(const Image& image, float factor) {
  return blend(smoothed(image), image, factor);
}

Image posterize(const Image& image, int bits) {
  return by_byte(image, [=](int byte) { return byte & ~((1 << (8 - bits)) - 1); });
}

Image solarize(const Image& image, int threshold) {
  return by_byte(image, [=](int byte) { return byte < threshold ? byte : 255 - byte; });
}

Image auto_contrast(const Image& image) {
  return by_channel(image, [](const Histogram& histogram) {
    const auto there = [](std::int64_t count) { return count > 0; };
    const auto low = std::ranges::find_if(histogram, there) - histogram.begin();
    const auto high =
        255 - (std::find_if(histogram.rbegin(), histogram.rend(), there) - histogram.rbegin());
    Table table;
    const double scale = high > low ? 255.0 / static_cast<double>(high - low) : 1;
    const double offset = high > low ? -static_cast<double>(low) * scale : 0;
    for (int byte = 0; byte < 256; ++byte)
      table[static_cast<std::size_t>(byte)] = static_cast<std::uint8_t>(
          std::clamp(static_cast<int>(static_cast<double>(byte) * scale + offset), 0, 255));
    return table;
  });
}

Image equalize(const Image& image) {
  return by_channel(image, [](const Histogram& histogram) {
    std::int64_t sum = 0, last = 0, kinds = 0;
    for (const std::int64_t count : histogram) {
      sum += count;
      if (count > 0) last = count, ++kinds;
    }
    const std::int64_t step = (sum - last) / 255;
    Table table;
    std::int64_t before = step / 2;
    for (std::size_t byte = 0; byte < 256; ++byte) {
      table[byte] = static_cast<std::uint8_t>(kinds < 2 || step == 0
                                                  ? static_cast<std::int64_t>(byte)
                                                  : std::min<std::int64_t>(255, before / step));
      before += histogram[byte];
    }
    return table;
  });
}

}  // namespace fusor
