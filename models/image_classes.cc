#include "models/image_classes.h"

#include <array>

#include "ops/add.h"
#include "ops/soft_cross_entropy.h"

namespace fusor {
namespace {

constexpr std::array<std::int64_t, 2> kRanks{1, 5};

MixedLabels labels_of(const Batch& batch) {
  if (!batch.has("other_label")) return {batch.flat("label")};
  return {batch.flat("label"), batch.flat("other_label"), batch.flat("label_share")};
}

}  // namespace

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

Var class_loss(const ImageClasses& c, const Var& logits, const Batch& batch, const Pass& pass) {
  if (pass.tape)
    return soft_cross_entropy(logits, soft_targets(labels_of(batch), c.classes, c.label_smoothing));
  const Tensor labels = batch.flat("label");
  const Tensor sums({1 + std::ssize(kRanks)}, DType::f64, logits.device());
  const Var loss = soft_cross_entropy(logits, soft_targets({labels}, c.classes));
  ops::add_into(sums.rows(0, 1), loss.value(), false);
  top_k_hits(logits.value(), labels, kRanks, sums.rows(1, sums.size()));
  return Var::input(sums);
}

std::vector<std::string> class_measures() { return {"top1", "top5"}; }

}  // namespace fusor
