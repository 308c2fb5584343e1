#pragma once
#include <array>

#include "runtime/tensor.h"

namespace fusor {

// How the channels of images are scaled, in pixels of [0, 1].
struct PixelScale {
  static constexpr int kMostChannels = 4;
  std::array<float, kMostChannels> mean{}, std{1, 1, 1, 1};
  bool operator==(const PixelScale&) const = default;
};

// y[..., c] = (images[..., c] / 255 - mean[c]) / std[c], in `dtype`. images u8 [n, h, w, c], or
// f32, which lie in [0, 1] and are not divided. c is at most 4.
Tensor scaled_pixels(const Tensor& images, const PixelScale&, DType dtype);

}  // namespace fusor
