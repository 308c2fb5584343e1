#pragma once
#include "launch/config.h"
#include "launch/key.h"

// The keys of models that tell the class of images: see visit_keys().
namespace fusor {

// clang-format off
template <class M, class F>
void visit_image_class_keys(M& data, F&& f) {
  f(fixed_key("model.image_size", "rows and columns of an image", 1, 1 << 14), data.image_size);
  f(fixed_key("model.channels", "of an image: 1 or 3", 1, 5), data.channels);
  f(fixed_key("model.classes", "classes to tell apart", 2, 1 << 24), data.classes);
  f(key("model.label_smoothing", "share of a target that goes to all classes alike", 0, 1), data.label_smoothing);
}

template <class C, class F>
void visit_resnet_model_keys(C& c, F&& f) {
  auto& m = c.resnet;
  visit_image_class_keys(m.data, f);
  f(fixed_key("model.width", "channels of the first stage", 1, 1 << 14), m.width);
  f(fixed_key("model.small_images", "a 3 x 3 and no pooling come first, as for CIFAR"), m.small_images);
  f(key("model.zero_init_residual", "each block starts as its shortcut"), m.zero_init_residual);
  f(key("model.sync_batch_norm", "batch statistics over the micro-batches of all of dp"), m.sync_batch_norm);
  f(key("model.running_rate", "of running statistics towards a step's mean", 0, 1), m.running_rate);
  f(fixed_key("model.norm_eps", "added to the variance in norms"), m.norm_eps);
}

template <class C, class F>
void visit_vit_model_keys(C& c, F&& f) {
  auto& m = c.vit;
  visit_image_class_keys(m.data, f);
  f(fixed_key("model.patch", "rows and columns of a patch", 1, 1 << 10), m.patch);
  f(fixed_key("model.layers", "transformer blocks", 1, 1 << 12), m.layers);
  f(fixed_key("model.width", "width of the residual stream", 1, 1 << 18), m.block.width);
  f(fixed_key("model.heads", "attention heads", 1, 1 << 12), m.block.heads);
  f(fixed_key("model.mlp_hidden", "hidden width of the MLP", 1, 1 << 20), m.block.mlp_hidden);
  f(fixed_key("model.class_token", "the class is read at a token of its own; else from the mean"), m.class_token);
  f(key("model.dropout", "dropout probability of embeddings", 0, 1), m.dropout);
  f(key("model.block_dropout", "dropout probability of what attention and MLP add", 0, 1), m.block.dropout);
  f(key("model.drop_path", "chance that a sample passes such an addition by", 0, 1), m.block.drop_path);
  f(fixed_key("model.norm_eps", "added to the variance in norms"), m.block.norm_eps);
  f(key("model.init_std", "standard deviation of fresh weights"), m.block.init_std);
}

template <class C, class F>
void visit_image_data_keys(C& c, F&& f) {
  auto& d = c.images;
  f(key("data.framing", "of training images: scaled whole, a random crop scaled, or padded and cropped"), d.framing);
  f(key("data.pad", "pixels around a padded image", 0, 1 << 10), d.pad);
  f(key("data.least_area", "smallest share of the image that a random crop takes", 0, 1.01), d.least_area);
  f(key("data.flip", "chance that left becomes right", 0, 1.01), d.flip);
  f(key("data.degrees", "rotation by up to so many, both ways", 0, 181), d.degrees);
  f(key("data.brightness", "factors 1 - x to 1 + x", 0, 1.01), d.brightness);
  f(key("data.contrast", "factors 1 - x to 1 + x", 0, 1.01), d.contrast);
  f(key("data.saturation", "factors 1 - x to 1 + x", 0, 1.01), d.saturation);
  f(key("data.rand_augment", "operations of RandAugment (0: none)", 0, 15), d.rand_augment);
  f(key("data.magnitude", "of RandAugment's operations, of 30", 0, 31), d.magnitude);
  f(key("data.erase", "chance of random erasing", 0, 1.01), d.erase);
  f(key("data.mixup", "shape of mixup's Beta distribution (0: none)", 0, 1 << 10), d.mixup);
  f(key("data.cutmix", "shape of CutMix's Beta distribution (0: none)", 0, 1 << 10), d.cutmix);
  f(key("data.eval_part", "share of the shorter side that an evaluation sees", 0.01, 1.01), d.eval_part);
  f(key("data.on_bad_sample", "fail, or skip: leave the sample out and count it"), d.on_bad_sample);
}
// clang-format on

}  // namespace fusor
