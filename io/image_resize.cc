#include "io/image_resize.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "runtime/error.h"

namespace fusor {
namespace {

constexpr int kWeightBits = 22;  // of a fixed-point weight after the point: sums stay in 32 bits

double weight_at(ResizeFilter filter, double x) {
  x = std::abs(x);
  if (filter == ResizeFilter::bilinear) return std::max(0.0, 1 - x);
  constexpr double a = -0.5;
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
}

// What one side of a resize needs: each output pixel is a weighted sum of `taps` neighbours.
struct Weights {
  std::int64_t taps = 0;
  std::vector<std::int64_t> first;    // [out] the first neighbour; first + taps fits
  std::vector<std::int32_t> weights;  // [out, taps] fixed-point, summing to 1
};

Weights make_weights(std::int64_t in, double begin, double extent, std::int64_t out,
                     ResizeFilter filter) {
  const double scale = extent / static_cast<double>(out), widen = std::max(scale, 1.0);
  const double support = (filter == ResizeFilter::bilinear ? 1.0 : 2.0) * widen;
  Weights w;
  w.taps = std::min(in, static_cast<std::int64_t>(std::ceil(support)) * 2 + 1);
  w.first.resize(static_cast<std::size_t>(out));
  w.weights.resize(static_cast<std::size_t>(out * w.taps));
  std::vector<double> exact(static_cast<std::size_t>(w.taps));
  for (std::int64_t i = 0; i < out; ++i) {
    const double centre = begin + (static_cast<double>(i) + 0.5) * scale;
    const auto from = std::max<std::int64_t>(0, static_cast<std::int64_t>(centre - support + 0.5));
    const auto to = std::min(in, static_cast<std::int64_t>(centre + support + 0.5));
    const std::int64_t first = std::min(from, in - w.taps);
    double sum = 0;
    for (std::int64_t k = 0; k < w.taps; ++k) {
      const std::int64_t at = first + k;
      const bool inside = from <= at && at < to;
      const double x = (static_cast<double>(at) + 0.5 - centre) / widen;
      sum += exact[static_cast<std::size_t>(k)] = inside ? weight_at(filter, x) : 0;
    }
    w.first[static_cast<std::size_t>(i)] = first;
    for (std::int64_t k = 0; k < w.taps; ++k)
      w.weights[static_cast<std::size_t>(i * w.taps + k)] = static_cast<std::int32_t>(
          std::lround(exact[static_cast<std::size_t>(k)] / sum * (1 << kWeightBits)));
  }
  return w;
}

std::uint8_t to_byte(std::int32_t sum) {
  return static_cast<std::uint8_t>(
      std::clamp((sum + (1 << (kWeightBits - 1))) >> kWeightBits, 0, 255));
}

template <int Channels>
void resize_row(const std::uint8_t* from, const Weights& w, std::uint8_t* to) {
  const std::int32_t* weight = w.weights.data();
  for (const std::int64_t first : w.first) {
    std::int32_t sums[Channels] = {};
    const std::uint8_t* pixel = from + first * Channels;
    for (std::int64_t k = 0; k < w.taps; ++k, pixel += Channels, ++weight)
      for (int c = 0; c < Channels; ++c) sums[c] += *weight * pixel[c];
    for (int c = 0; c < Channels; ++c) *to++ = to_byte(sums[c]);
  }
}

// Rows [first, first + count) of an image, resized to `width`.
Image resize_width(const Image& image, const Weights& w, std::int64_t first, std::int64_t count) {
  Image result(count, std::ssize(w.first), image.channels);
  for (std::int64_t y = 0; y < count; ++y)
    if (image.channels == 1)
      resize_row<1>(image.row(first + y), w, result.row(y));
    else
      resize_row<3>(image.row(first + y), w, result.row(y));
  return result;
}

// `image` holds the rows from `first_row` on of what the weights speak of.
Image resize_height(const Image& image, const Weights& w, std::int64_t first_row) {
  const auto row_bytes = static_cast<std::size_t>(image.width * image.channels);
  Image result(std::ssize(w.first), image.width, image.channels);
  std::vector<std::int32_t> sums(row_bytes);
  for (std::int64_t y = 0; y < result.height; ++y) {
    std::ranges::fill(sums, 0);
    for (std::int64_t k = 0; k < w.taps; ++k) {
      const std::int32_t weight = w.weights[static_cast<std::size_t>(y * w.taps + k)];
      if (weight == 0) continue;
      const std::uint8_t* const from =
          image.row(w.first[static_cast<std::size_t>(y)] + k - first_row);
      for (std::size_t i = 0; i < row_bytes; ++i) sums[i] += weight * from[i];
    }
    std::transform(sums.begin(), sums.end(), result.row(y), to_byte);
  }
  return result;
}

}  // namespace

Image resize(const Image& image, const ImageBox& box, std::int64_t height, std::int64_t width,
             ResizeFilter filter) {
  require(height > 0 && width > 0, "cannot resize an image to ", width, " x ", height);
  require(box.top >= 0 && box.left >= 0 && box.height > 0 && box.width > 0 &&
              box.top + box.height <= static_cast<double>(image.height) &&
              box.left + box.width <= static_cast<double>(image.width),
          "the box at ", box.left, ", ", box.top, " of ", box.width, " x ", box.height,
          " is not inside an image of ", image.width, " x ", image.height);
  const Weights columns = make_weights(image.width, box.left, box.width, width, filter);
  const Weights rows = make_weights(image.height, box.top, box.height, height, filter);
  const std::int64_t first = rows.first.front();
  return resize_height(resize_width(image, columns, first, rows.first.back() + rows.taps - first),
                       rows, first);
}

Image resize(const Image& image, std::int64_t height, std::int64_t width, ResizeFilter filter) {
  if (image.height == height && image.width == width) return image;
  const ImageBox all{0, 0, static_cast<double>(image.height), static_cast<double>(image.width)};
  return resize(image, all, height, width, filter);
}

Image resize_shorter(const Image& image, std::int64_t size, ResizeFilter filter) {
  const std::int64_t shorter = std::min(image.height, image.width);
  return resize(image, size * image.height / shorter, size * image.width / shorter, filter);
}

}  // namespace fusor
