#include "io/image_resize.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "runtime/error.h"

namespace fusor {
namespace {

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
  std::vector<std::int64_t> first;  // [out] the first neighbour; first + taps fits
  std::vector<float> weights;       // [out, taps], each output's summing to 1

  std::int64_t begin() const { return first.front(); }  // of all neighbours
  std::int64_t end() const { return first.back() + taps; }
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
      w.weights[static_cast<std::size_t>(i * w.taps + k)] =
          static_cast<float>(exact[static_cast<std::size_t>(k)] / sum);
  }
  return w;
}

// Output row y of the columns [left, left + line.size() / channels), not yet narrowed.
void sum_rows(const Image& image, const Weights& rows, std::int64_t y, std::int64_t left,
              std::span<float> line) {
  std::ranges::fill(line, 0.0f);
  const float* const weights = rows.weights.data() + y * rows.taps;
  for (std::int64_t k = 0; k < rows.taps; ++k) {
    const float weight = weights[k];
    if (weight == 0) continue;
    const std::uint8_t* const from =
        image.row(rows.first[static_cast<std::size_t>(y)] + k) + left * image.channels;
    for (std::size_t i = 0; i < line.size(); ++i) line[i] += weight * static_cast<float>(from[i]);
  }
}

// `line` begins at column `left`, and may be read kLanes - Channels numbers beyond its end.
constexpr int kLanes = 4;
template <int Channels>
void sum_columns(const float* line, std::int64_t left, const Weights& columns, std::uint8_t* to) {
  const float* weight = columns.weights.data();
  for (const std::int64_t first : columns.first) {
    float sums[kLanes] = {};
    const float* pixel = line + (first - left) * Channels;
    constexpr int kUsed = Channels == 1 ? 1 : kLanes;
    for (std::int64_t k = 0; k < columns.taps; ++k, pixel += Channels, ++weight)
      for (int c = 0; c < kUsed; ++c) sums[c] += *weight * pixel[c];
    for (int c = 0; c < Channels; ++c)
      *to++ = static_cast<std::uint8_t>(std::clamp(sums[c] + 0.5f, 0.0f, 255.0f));
  }
}

ImageBox whole(const Image& image) {
  return {0, 0, static_cast<double>(image.height), static_cast<double>(image.width)};
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
  if (image.height == height && image.width == width && box == whole(image)) return image;
  const Weights columns = make_weights(image.width, box.left, box.width, width, filter);
  const Weights rows = make_weights(image.height, box.top, box.height, height, filter);
  const std::int64_t left = columns.begin();
  const auto used = static_cast<std::size_t>((columns.end() - left) * image.channels);
  std::vector<float> line(used + kLanes);
  Image result(height, width, image.channels);
  for (std::int64_t y = 0; y < height; ++y) {
    sum_rows(image, rows, y, left, std::span(line).first(used));
    if (image.channels == 1)
      sum_columns<1>(line.data(), left, columns, result.row(y));
    else
      sum_columns<3>(line.data(), left, columns, result.row(y));
  }
  return result;
}

Image resize(const Image& image, std::int64_t height, std::int64_t width, ResizeFilter filter) {
  return resize(image, whole(image), height, width, filter);
}

Image resize_shorter(const Image& image, std::int64_t size, ResizeFilter filter) {
  const std::int64_t shorter = std::min(image.height, image.width);
  return resize(image, size * image.height / shorter, size * image.width / shorter, filter);
}

}  // namespace fusor
