#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "models/encoder.h"
#include "models/image_classes.h"

namespace fusor {

// The shape of a vision transformer. Dosovitskiy et al., "An image is worth 16x16 words", ICLR
// 2021. The defaults are ViT-B/16.
struct ViTConfig {
  ImageClasses data{};
  std::int64_t patch = 16;  // rows and columns
  std::int64_t layers = 12;
  EncoderConfig block{};
  bool class_token = true;  // the class is read there; else from the mean over patches
  double dropout = 0;       // of embeddings

  std::int64_t patches() const {
    const std::int64_t side = data.image_size / patch;
    return side * side;
  }
  std::int64_t seq_len() const { return patches() + class_token; }
  bool operator==(const ViTConfig&) const = default;
};

// Throws Error when no such model can be built: the patch must divide the image, and so on.
void check(const ViTConfig&);

// vit-ti, vit-s or vit-b, with patches of 16. Throws Error that names the nearest one. The smaller
// two: Touvron et al., "Training data-efficient image transformers", ICML 2021.
ViTConfig vit_preset(std::string_view name);
std::vector<std::string> vit_preset_names();

}  // namespace fusor
