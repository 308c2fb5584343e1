#include "ops/pixels.h"

#include "ops/pixels_kernels.h"

namespace fusor {

Tensor scaled_pixels(const Tensor& images, const PixelScale& scale, DType dtype) {
  const bool bytes = images.dtype() == DType::u8;
  require(bytes || images.dtype() == DType::f32, "images are u8 or f32, not ", images.dtype());
  require(images.rank() == 4 && images.dim(3) <= PixelScale::kMostChannels, "images ",
          images.shape(), " are not [n, h, w, c] with at most ", PixelScale::kMostChannels,
          " channels");
  ops::kernels::PixelFactors by{{}, {}, static_cast<int>(images.dim(3))};
  for (std::size_t c = 0; c < PixelScale::kMostChannels; ++c) {
    by.factor[c] = bytes ? 1 / 255.f / scale.std[c] : 1;
    by.shift[c] = bytes ? -scale.mean[c] / scale.std[c] : 0;
  }
  Tensor y(images.shape(), dtype, images.device());
  const Cost cost{.flops = 2.0 * static_cast<double>(y.size()),
                  .bytes = static_cast<double>(images.bytes() + y.bytes())};
  launch(y.device(), "scaled_pixels", cost, [&](auto device) {
    on_float(dtype, [&]<class T> {
      if (bytes)
        ops::kernels::scale_pixels(device, y.size(), by, images.data<std::uint8_t>(), y.data<T>());
      else
        ops::kernels::scale_pixels(device, y.size(), by, images.data<float>(), y.data<T>());
    });
  });
  return y;
}

}  // namespace fusor
