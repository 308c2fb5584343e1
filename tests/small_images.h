#pragma once
#include <string>
#include <vector>

#include "io/record_writer.h"
#include "launch/config.h"
#include "runtime/random.h"

// A few small images, and models that are small enough to learn on them in no time.
namespace fusor::small_images {

constexpr std::int64_t kSide = 8, kClasses = 3;

// 32 images to train on and 8 held out, of noise in colour, brighter the higher their class.
inline void write_images(const std::string& folder) {
  RecordWriter writer(
      {.output = folder,
       .fields = {
           {.name = "image", .shape = {kSide, kSide, 3}, .attributes = {{"encoding", "pixels"}}},
           {.name = "label", .type = ElementType::i32, .names = {"dark", "grey", "bright"}}}});
  const RandomKey key = random_key(3, "images");
  for (std::uint64_t i = 0; i < 40; ++i) {
    std::vector<std::uint8_t> pixels(kSide * kSide * 3);
    for (std::size_t p = 0; p < pixels.size(); ++p)
      pixels[p] = static_cast<std::uint8_t>(60 * (i % 3) + random_bits(key, i << 16 | p) % 100);
    const auto label = static_cast<std::int32_t>(i % kClasses);
    writer.add(i < 32 ? "train" : "val", i, {FieldValue(pixels), FieldValue(label)});
  }
  writer.finish();
}

inline Config recipe(const std::string& preset, const std::string& path) {
  Config c;
  apply_preset(c, preset);
  for (ImageClasses* data : {&c.resnet.data, &c.vit.data})
    data->image_size = kSide, data->classes = kClasses;
  c.resnet.width = 4, c.resnet.blocks = {1, 1};
  c.vit.patch = 4, c.vit.layers = 2;
  c.vit.block.width = 16, c.vit.block.heads = 4, c.vit.block.mlp_hidden = 24;
  c.vit.block.dropout = 0.1, c.vit.block.drop_path = 0.2;
  c.data.path = path;
  c.images.framing = Framing::padded_crop, c.images.pad = 1, c.images.mixup = 0.4;
  c.train.global_batch = 8, c.train.micro_batch = 2, c.train.steps = 10;
  c.optimizer.lr = 3e-3;
  return c;
}

}  // namespace fusor::small_images
