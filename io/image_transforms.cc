#include "io/image_transforms.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

#include "runtime/error.h"

namespace fusor {
namespace {

std::uint8_t blend_bytes(int from, int to, float factor) {
  const float mixed = static_cast<float>(from) + factor * static_cast<float>(to - from);
  return static_cast<std::uint8_t>(std::clamp(mixed, 0.0f, 255.0f));
}

Image blend_with(const Image& image, std::uint8_t value, float factor) {
  std::array<std::uint8_t, 256> table;
  for (int byte = 0; byte < 256; ++byte)
    table[static_cast<std::size_t>(byte)] = blend_bytes(value, byte, factor);
  Image result = image;
  for (std::uint8_t& pixel : result.pixels) pixel = table[pixel];
  return result;
}

template <int Channels>
void flip_row(const std::uint8_t* from, std::int64_t width, std::uint8_t* to) {
  for (std::int64_t x = 0; x < width; ++x)
    for (int c = 0; c < Channels; ++c) to[x * Channels + c] = from[(width - 1 - x) * Channels + c];
}

constexpr std::size_t kBlock = 192;  // numbers: whole pixels and whole vectors

}  // namespace

Image crop(const Image& image, const PixelBox& box) {
  require(box.top >= 0 && box.left >= 0 && box.height > 0 && box.width > 0 &&
              box.top + box.height <= image.height && box.left + box.width <= image.width,
          "the part at ", box.left, ", ", box.top, " of ", box.width, " x ", box.height,
          " is not inside an image of ", image.width, " x ", image.height);
  Image result(box.height, box.width, image.channels);
  for (std::int64_t y = 0; y < box.height; ++y)
    std::copy_n(image.row(box.top + y) + box.left * image.channels, box.width * image.channels,
                result.row(y));
  return result;
}

Image centre_crop(const Image& image, std::int64_t height, std::int64_t width) {
  const auto before = [](std::int64_t rest) { return std::lrint(static_cast<double>(rest) / 2); };
  return crop(image, {before(image.height - height), before(image.width - width), height, width});
}

Image pad_and_crop(const Image& image, std::int64_t pad, std::int64_t top, std::int64_t left) {
  require(0 <= top && top <= 2 * pad && 0 <= left && left <= 2 * pad, "a shift to ", left, ", ",
          top, " is not within a padding of ", pad);
  Image result(image.height, image.width, image.channels);
  const auto overlap = [&](std::int64_t shift, std::int64_t extent) {
    return std::pair(std::max<std::int64_t>(0, pad - shift),
                     std::min(extent, extent + pad - shift));
  };
  const auto [x0, x1] = overlap(left, image.width);
  const auto [y0, y1] = overlap(top, image.height);
  for (std::int64_t y = y0; y < y1 && x0 < x1; ++y)
    std::copy_n(image.row(y + top - pad) + (x0 + left - pad) * image.channels,
                (x1 - x0) * image.channels, result.row(y) + x0 * image.channels);
  return result;
}

Image flip(const Image& image) {
  Image result(image.height, image.width, image.channels);
  for (std::int64_t y = 0; y < image.height; ++y)
    if (image.channels == 1)
      std::reverse_copy(image.row(y), image.row(y) + image.width, result.row(y));
    else
      flip_row<3>(image.row(y), image.width, result.row(y));
  return result;
}

// In fixed point of 16 bits after the point.
Image affine(const Image& image, const AffineMap& m) {
  const auto fixed = [](double v) {
    return static_cast<std::int64_t>(std::floor(v * 65536 + 0.5));
  };
  const std::int64_t a = fixed(m.a), b = fixed(m.b), d = fixed(m.d), e = fixed(m.e);
  const std::int64_t c = fixed(m.c + (m.a + m.b) / 2), f = fixed(m.f + (m.d + m.e) / 2);
  Image result(image.height, image.width, image.channels);
  for (std::int64_t y = 0; y < image.height; ++y)
    for (std::int64_t x = 0; x < image.width; ++x) {
      const std::int64_t from_x = (a * x + b * y + c) >> 16, from_y = (d * x + e * y + f) >> 16;
      if (from_x < 0 || from_y < 0 || from_x >= image.width || from_y >= image.height) continue;
      std::copy_n(image.row(from_y) + from_x * image.channels, image.channels,
                  result.row(y) + x * image.channels);
    }
  return result;
}

Image rotate(const Image& image, double degrees) {
  const double angle = degrees * std::numbers::pi / 180, cos = std::cos(angle),
               sin = std::sin(angle);
  const double x = static_cast<double>(image.width) / 2, y = static_cast<double>(image.height) / 2;
  return affine(image, {.a = cos,
                        .b = -sin,
                        .c = x - cos * x + sin * y,
                        .d = sin,
                        .e = cos,
                        .f = y - sin * x - cos * y});
}

Image blend(const Image& from, const Image& to, float factor) {
  Image result(to.height, to.width, to.channels);
  for (std::size_t i = 0; i < to.pixels.size(); ++i)
    result.pixels[i] = blend_bytes(from.pixels[i], to.pixels[i], factor);
  return result;
}

Image with_brightness(const Image& image, float factor) { return blend_with(image, 0, factor); }

Image with_contrast(const Image& image, float factor) {
  const Image grey = with_channels(image, 1);
  const auto sum = std::accumulate(grey.pixels.begin(), grey.pixels.end(), std::uint64_t{0});
  const double mean = static_cast<double>(sum) / static_cast<double>(grey.pixels.size());
  return blend_with(image, static_cast<std::uint8_t>(mean + 0.5), factor);
}

Image with_saturation(const Image& image, float factor) {
  if (image.channels == 1) return image;
  return blend(with_channels(with_channels(image, 1), 3), image, factor);
}

void to_numbers(const Image& image, const Normalisation& n, std::span<float> out) {
  const auto channels = static_cast<std::size_t>(image.channels);
  require(n.mean.size() == channels && n.deviation.size() == channels, "an image of ", channels,
          " channels cannot be normalised by ", n.mean.size(), " means and ", n.deviation.size(),
          " deviations");
  require(out.size() == image.pixels.size(), "an image of ", image.pixels.size(),
          " numbers does not fit ", out.size());
  std::array<float, kBlock> scale{}, shift{};
  for (std::size_t i = 0; i < kBlock; ++i) {
    const std::size_t c = i % channels;
    scale[i] = 1 / (255 * n.deviation[c]);
    shift[i] = -n.mean[c] / n.deviation[c];
  }
  const std::uint8_t* const from = image.pixels.data();
  for (std::size_t at = 0; at < out.size(); at += kBlock)
    for (std::size_t i = 0; i < std::min(kBlock, out.size() - at); ++i)
      out[at + i] = static_cast<float>(from[at + i]) * scale[i] + shift[i];
}

void erase(std::span<float> numbers, std::int64_t width, std::int64_t channels,
           const PixelBox& box) {
  for (std::int64_t y = box.top; y < box.top + box.height; ++y)
    std::ranges::fill(numbers.subspan(static_cast<std::size_t>((y * width + box.left) * channels),
                                      static_cast<std::size_t>(box.width * channels)),
                      0.0f);
}

}  // namespace fusor
