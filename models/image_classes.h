#pragma once
#include <string>
#include <vector>

#include "models/class_loss.h"
#include "ops/pixels.h"

// What models share that tell the class of an image. A batch has the fields
//   image  u8 [samples, h, w, channels], or f32, scaled
// and those of models/class_loss.h.
namespace fusor {

struct ImageClasses {
  std::int64_t image_size = 224;  // rows and columns
  std::int64_t channels = 3;
  std::int64_t classes = 1000;
  double label_smoothing = 0;  // of training
  PixelScale pixels{.mean = {0.485f, 0.456f, 0.406f}, .std = {0.229f, 0.224f, 0.225f, 1}};
  bool operator==(const ImageClasses&) const = default;
};

// Throws Error when there can be no such images or classes.
void check(const ImageClasses&);

// The images of a batch, scaled, in `dtype`. Throws Error where they are of another size.
Tensor images_of(const ImageClasses&, const Batch&, DType dtype);

// class_loss of models/class_loss.h.
inline Var class_loss(const ImageClasses& c, const Var& logits, const Batch& batch,
                      const Pass& pass) {
  return class_loss(c.classes, c.label_smoothing, logits, batch, pass);
}

}  // namespace fusor
