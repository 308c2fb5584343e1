#include "models/image_classes.h"

namespace fusor {

void check(const ImageClasses& c) {
  require(c.image_size > 0, "model.image_size ", c.image_size, " is no size");
  require(1 <= c.channels && c.channels <= PixelScale::kMostChannels, "model.channels ", c.channels,
          ", but images have 1 to ", PixelScale::kMostChannels);
  require(c.classes > 1, "model.classes ", c.classes, " leaves nothing to tell apart");
  require(0 <= c.label_smoothing && c.label_smoothing < 1, "model.label_smoothing ",
          c.label_smoothing, " is not in [0, 1)");
}

Tensor images_of(const ImageClasses& c, const Batch& batch, DType dtype) {
  const Tensor& images = batch["image"];
  const Shape want{batch.shape.samples, c.image_size, c.image_size, c.channels};
  require(images.shape() == want, "images ", images.shape(), ", but the model takes ", want);
  return scaled_pixels(images, c.pixels, dtype);
}

}  // namespace fusor
