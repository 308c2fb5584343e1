#include "io/image_augment.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "runtime/error.h"

namespace fusor {
namespace {

constexpr int kTries = 10;

// A box of this area and aspect (width to height), somewhere inside; empty where it does not fit.
PixelBox draw_box(Draws& draws, std::int64_t height, std::int64_t width, double area,
                  double aspect) {
  PixelBox box;
  box.width = std::lround(std::sqrt(area * aspect));
  box.height = std::lround(std::sqrt(area / aspect));
  if (box.width < 1 || box.height < 1 || box.width > width || box.height > height) return {};
  box.top = draws.below(height - box.height + 1);
  box.left = draws.below(width - box.width + 1);
  return box;
}

double draw_aspect(Draws& draws, double least, double most) {
  return std::exp(draws.uniform(std::log(least), std::log(most)));
}

ImageBox exact(const PixelBox& box) {
  return {static_cast<double>(box.top), static_cast<double>(box.left),
          static_cast<double>(box.height), static_cast<double>(box.width)};
}

// The three in an order of their own.
Image jitter(Image image, const ImageAugment& how, Draws& draws) {
  std::array<int, 3> order = {0, 1, 2};
  std::swap(order[0], order[static_cast<std::size_t>(draws.below(3))]);
  std::swap(order[1], order[static_cast<std::size_t>(1 + draws.below(2))]);
  for (const int which : order) {
    const double range =
        std::array{how.brightness, how.contrast, how.saturation}[static_cast<std::size_t>(which)];
    const auto factor = static_cast<float>(draws.uniform(std::max(0.0, 1 - range), 1 + range));
    if (range == 0) continue;
    if (which == 0) image = with_brightness(image, factor);
    if (which == 1) image = with_contrast(image, factor);
    if (which == 2) image = with_saturation(image, factor);
  }
  return image;
}

Image frame(const Image& image, const ImageAugment& how, Draws& draws, std::int64_t height,
            std::int64_t width) {
  if (how.framing == Framing::random_crop) {
    const PixelBox box = draw_crop(draws, image.height, image.width, how.crop);
    return resize(image, exact(box), height, width, how.filter);
  }
  Image framed = resize(image, height, width, how.filter);
  if (how.framing == Framing::whole || how.pad == 0) return framed;
  const std::int64_t top = draws.below(2 * how.pad + 1), left = draws.below(2 * how.pad + 1);
  return pad_and_crop(framed, how.pad, top, left);
}

}  // namespace

PixelBox draw_crop(Draws& draws, std::int64_t height, std::int64_t width, const RandomCrop& crop) {
  const auto h = static_cast<double>(height), w = static_cast<double>(width);
  for (int i = 0; i < kTries; ++i) {
    const double area = h * w * draws.uniform(crop.least_area, crop.most_area);
    const double aspect = draw_aspect(draws, crop.least_aspect, crop.most_aspect);
    const PixelBox box = draw_box(draws, height, width, area, aspect);
    if (box.height > 0) return box;
  }
  PixelBox middle{0, 0, height, width};
  if (w < crop.least_aspect * h) middle.height = std::lround(w / crop.least_aspect);
  if (w > crop.most_aspect * h) middle.width = std::lround(h * crop.most_aspect);
  middle.top = (height - middle.height) / 2;
  middle.left = (width - middle.width) / 2;
  return middle;
}

PixelBox draw_erasing(Draws& draws, std::int64_t height, std::int64_t width) {
  for (int i = 0; i < kTries; ++i) {
    const double area = static_cast<double>(height * width) * draws.uniform(0.02, 0.33);
    const double aspect = draw_aspect(draws, 0.3, 3.3);
    const PixelBox box = draw_box(draws, height, width, area, aspect);
    if (box.height > 0) return box;
  }
  return {};
}

void augment(const Image& image, const ImageAugment& how, RandomKey key, std::int64_t height,
             std::int64_t width, const Normalisation& normalisation, std::span<float> out) {
  Draws draws(key);
  Image result = frame(image, how, draws, height, width);
  if (draws.chance(how.flip)) result = flip(result);
  if (how.degrees > 0) result = rotate(result, draws.uniform(-how.degrees, how.degrees));
  if (how.brightness > 0 || how.contrast > 0 || how.saturation > 0)
    result = jitter(std::move(result), how, draws);
  if (how.rand_augment_ops > 0)
    result =
        rand_augment(std::move(result), draws, how.rand_augment_ops, how.rand_augment_magnitude);
  to_numbers(result, normalisation, out);
  if (draws.chance(how.erase))
    erase(out, width, result.channels, draw_erasing(draws, height, width));
}

void view_middle(const Image& image, double part, std::int64_t height, std::int64_t width,
                 ResizeFilter filter, const Normalisation& normalisation, std::span<float> out) {
  require(part > 0 && part <= 1, "the part of an image that is looked at must be in (0, 1], not ",
          part);
  const double scale = std::min(static_cast<double>(image.height) / static_cast<double>(height),
                                static_cast<double>(image.width) / static_cast<double>(width)) *
                       part;
  const double h = static_cast<double>(height) * scale, w = static_cast<double>(width) * scale;
  const ImageBox middle{(static_cast<double>(image.height) - h) / 2,
                        (static_cast<double>(image.width) - w) / 2, h, w};
  to_numbers(resize(image, middle, height, width, filter), normalisation, out);
}

}  // namespace fusor
