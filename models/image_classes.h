#pragma once
#include <string>
#include <vector>

#include "models/model.h"
#include "ops/pixels.h"

// What models share that tell the class of an image. A batch has the fields
//   image  u8 [samples, h, w, channels], or f32 in [0, 1]      label  i32 [samples]
// and where images are mixed
//   other_label  i32 [samples]      label_share  f32 [samples]: see MixedLabels
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

// The summed cross-entropy of logits [samples, classes], f64 [1]. Without a tape f64 [1 + 2]: of
// the plain labels, and then how many are among the one and the five largest logits.
Var class_loss(const ImageClasses&, const Var& logits, const Batch&, const Pass&);
// Model::measures() of these.
std::vector<std::string> class_measures();

}  // namespace fusor
