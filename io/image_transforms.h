#pragma once
#include <span>
#include <vector>

#include "io/image.h"
#include "io/image_resize.h"

// What is done to images, each a function of its arguments alone. Bytes are Pillow's, to the bit
// unless said otherwise.
namespace fusor {

// A part that lies on whole pixels.
struct PixelBox {
  std::int64_t top = 0, left = 0, height = 0, width = 0;
};
Image crop(const Image& image, const PixelBox& box);
// In the middle; an odd rest lies more to the bottom and the right (torchvision rounds halves to
// even).
Image centre_crop(const Image& image, std::int64_t height, std::int64_t width);
// From an image that is as large, but shifted, as if it stood in black of `pad` pixels around it:
// top and left in [0, 2 pad].
Image pad_and_crop(const Image& image, std::int64_t pad, std::int64_t top, std::int64_t left);
Image flip(const Image& image);  // left is right

// Output pixel (x, y) shows what stood at a x + b y + c, d x + e y + f, coordinates of pixels'
// corners; black where that is outside.
struct AffineMap {
  double a = 1, b = 0, c = 0, d = 0, e = 1, f = 0;
};
Image affine(const Image& image, const AffineMap& map);  // the nearest pixel
// Counter-clockwise about the middle, in a frame of the same size.
Image rotate(const Image& image, double degrees);

// from + factor (to - from) of each byte, cut to what a byte holds, not rounded.
Image blend(const Image& from, const Image& to, float factor);
// Mixes with black, with the mean grey, with its own grey: 1 leaves the image, 0 gives the other,
// beyond 1 it moves away from it.
Image with_brightness(const Image& image, float factor);
Image with_contrast(const Image& image, float factor);
Image with_saturation(const Image& image, float factor);

// To numbers, out [height, width, channels]: (byte / 255 - mean) / deviation, both of each channel.
struct Normalisation {
  std::vector<float> mean, deviation;  // [channels]
};
void to_numbers(const Image& image, const Normalisation& normalisation, std::span<float> out);

// The part of numbers [height, width, channels] becomes 0, the mean of normalised images. Zhong et
// al., "Random erasing data augmentation", AAAI 2020.
void erase(std::span<float> numbers, std::int64_t width, std::int64_t channels,
           const PixelBox& box);

}  // namespace fusor
