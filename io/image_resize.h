#pragma once
#include "io/image.h"

namespace fusor {

enum class ResizeFilter : std::uint8_t { bilinear, bicubic };

// A part of an image, in pixels; its edges may lie inside of pixels.
struct ImageBox {
  double top = 0, left = 0, height = 0, width = 0;
  bool operator==(const ImageBox&) const = default;
};

// The part scaled to height x width. Where it shrinks, the filter widens by as much, so nothing
// aliases: the weights are those of Pillow's Image.resize(box=), and so are the bytes to within one
// level. Bicubic is Keys' with a = -0.5 (Keys, "Cubic convolution interpolation", 1981). Throws
// Error when the box is not inside the image.
Image resize(const Image& image, const ImageBox& box, std::int64_t height, std::int64_t width,
             ResizeFilter filter = ResizeFilter::bilinear);
Image resize(const Image& image, std::int64_t height, std::int64_t width,
             ResizeFilter filter = ResizeFilter::bilinear);

// The shorter side becomes `size`, the longer one floor(size * longer / shorter).
Image resize_shorter(const Image& image, std::int64_t size,
                     ResizeFilter filter = ResizeFilter::bilinear);

}  // namespace fusor
