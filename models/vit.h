#pragma once
#include <optional>
#include <vector>

#include "models/encoder.h"
#include "models/model.h"
#include "models/vit_config.h"

namespace fusor {

// A vision transformer that tells the class of images: patches, through a linear layer, with
// learned positions, are a sequence for encoder blocks. Attention heads and hidden units are split
// over the mesh's tp. Parts: "embed", "block.0" and so on, "head".
class ViT final : public Model {
 public:
  // Throws Error where tp cannot split it, cp or ep ask for it, or no such model can be built.
  explicit ViT(const ViTConfig&, const Mesh& mesh = {});

  const ViTConfig& config() const { return config_; }
  std::vector<Part> parts() const override;
  Var run(int part, const std::vector<Var>& inputs, const Batch&, const Pass&) const override;
  Shape output_shape(int part, const BatchShape&) const override;
  void visit(int part, const Visitor&) override;
  using Model::visit;
  std::vector<std::string> measures() const override { return class_measures(); }

  // [samples seq_len, width] of a batch's images, dropped out and ready for the first block; with
  // sequence parallelism this rank's part of the rows.
  Var embed(const Batch&, const Pass&) const;
  // What the head reads of the last block's rows: [samples, width], normed.
  Var pooled(const Var& x, std::int64_t samples) const;

 private:
  ViTConfig config_;
  TensorRegion region_;
  Parameter patches_w_, patches_b_;       // [width, patch, patch, channels], [width]
  std::optional<Parameter> class_token_;  // [1, width]
  Parameter positions_;                   // [seq_len, width]
  std::vector<EncoderBlock> blocks_;
  NormLayer norm_;
  Parameter head_w_, head_b_;
};

}  // namespace fusor
