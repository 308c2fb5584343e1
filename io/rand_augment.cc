#include <algorithm>
#include <array>
#include <cmath>

#include "io/image_augment.h"
#include "io/image_tones.h"
#include "runtime/error.h"

namespace fusor {
namespace {

constexpr int kMagnitudes = 30;         // the largest
constexpr double kShift = 150.0 / 331;  // of the extent, at the largest magnitude

enum class Operation : std::uint8_t {
  identity,
  shear_x,
  shear_y,
  translate_x,
  translate_y,
  rotate,
  brightness,
  saturation,
  contrast,
  sharpness,
  posterize,
  solarize,
  auto_contrast,
  equalize,
};
constexpr int kOperations = 14;

// `strength` in [-1, 1]: the magnitude as a share of the largest, with a drawn sign.
Image apply(Operation operation, const Image& image, double strength) {
  const double size = std::abs(strength);
  const auto factor = static_cast<float>(1 + 0.9 * strength);
  const auto shift = [&](std::int64_t extent) {
    return std::trunc(kShift * static_cast<double>(extent) * strength);
  };
  switch (operation) {
    case Operation::identity:
      return image;
    case Operation::shear_x:
      return affine(image, {.b = 0.3 * strength});
    case Operation::shear_y:
      return affine(image, {.d = 0.3 * strength});
    case Operation::translate_x:
      return affine(image, {.c = shift(image.width)});
    case Operation::translate_y:
      return affine(image, {.f = shift(image.height)});
    case Operation::rotate:
      return rotate(image, 30 * strength);
    case Operation::brightness:
      return with_brightness(image, factor);
    case Operation::saturation:
      return with_saturation(image, factor);
    case Operation::contrast:
      return with_contrast(image, factor);
    case Operation::sharpness:
      return with_sharpness(image, factor);
    case Operation::posterize:
      return posterize(image, 8 - static_cast<int>(std::lrint(4 * size)));
    case Operation::solarize:
      return solarize(image, static_cast<int>(std::floor(255 * (1 - size))));
    case Operation::auto_contrast:
      return auto_contrast(image);
    case Operation::equalize:
      return equalize(image);
  }
  raise("no such operation");
}

}  // namespace

Image rand_augment(Image image, Draws& draws, int ops, int magnitude) {
  require(0 <= magnitude && magnitude <= kMagnitudes, "RandAugment has magnitudes of 0 to ",
          kMagnitudes, ", not ", magnitude);
  const double size = static_cast<double>(magnitude) / kMagnitudes;
  for (int i = 0; i < ops; ++i) {
    const auto operation = static_cast<Operation>(draws.below(kOperations));
    const bool negative = draws.chance(0.5);
    image = apply(operation, image, negative ? -size : size);
  }
  return image;
}

}  // namespace fusor
