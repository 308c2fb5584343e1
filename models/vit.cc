#include "models/vit.h"

#include "ops/conv2d.h"
#include "ops/dropout.h"
#include "ops/embedding.h"
#include "ops/mean_pool.h"
#include "ops/pick_rows.h"
#include "ops/prepend_row.h"
#include "ops/reshape.h"
#include "parallel/collectives.h"

namespace fusor {

ViT::ViT(const ViTConfig& c, const Mesh& mesh)
    : config_(c),
      region_(mesh),
      patches_w_("patches.weight", {c.block.width, c.patch, c.patch, c.data.channels},
                 {.std = c.block.init_std}),
      patches_b_("patches.bias", {c.block.width}, {}),
      positions_("positions.weight", {c.seq_len(), c.block.width}, {.std = c.block.init_std}),
      norm_("norm", Norm::layer_norm, c.block.width, c.block.norm_eps, TensorRegion()),
      head_w_("head.weight", {c.data.classes, c.block.width}, {.std = c.block.init_std}),
      head_b_("head.bias", {c.data.classes}, {}) {
  check(c);
  require(mesh.cp.size() == 1 && mesh.ep.size() == 1,
          "a ViT is split over dp, tp and pp alone: cp ", mesh.cp.size(), " and ep ",
          mesh.ep.size(), " must be 1");
  if (c.class_token)
    class_token_.emplace("class_token", Shape{1, c.block.width}, Fill{.std = c.block.init_std});
  blocks_.reserve(static_cast<std::size_t>(c.layers));
  for (std::int64_t i = 0; i < c.layers; ++i)
    blocks_.emplace_back("block." + std::to_string(i), c.block, region_);
}

std::vector<Part> ViT::parts() const {
  std::vector<Part> parts{{"embed", {}, /*reads_batch=*/true}};
  for (const EncoderBlock& block : blocks_)
    parts.push_back({block.name, {static_cast<int>(parts.size()) - 1}});
  parts.push_back({"head", {static_cast<int>(parts.size()) - 1}, /*reads_batch=*/true});
  return parts;
}

Var ViT::run(int part, const std::vector<Var>& inputs, const Batch& batch, const Pass& pass) const {
  if (part == 0) return embed(batch, pass);
  const auto index = static_cast<std::size_t>(part) - 1;
  const Sequences sequences{batch.shape.samples, config_.seq_len()};
  if (index < blocks_.size()) return blocks_[index](inputs.at(0), sequences, pass);
  const Var logits = linear(pooled(inputs.at(0), batch.shape.samples), head_w_, head_b_);
  return class_loss(config_.data, logits, batch, pass);
}

// All ranks of tp do the same, up to where rows are split.
Var ViT::embed(const Batch& batch, const Pass& pass) const {
  const std::int64_t samples = batch.shape.samples, width = config_.block.width;
  const Tensor images = images_of(config_.data, batch, patches_w_.var.value().dtype());
  const Var patches = conv2d(Var::input(images, pass.tape), patches_w_, patches_b_,
                             Conv2dOptions::padded(0, config_.patch));
  Var x = reshape(patches, {samples * config_.patches(), width});
  if (class_token_) x = prepend_row(x, *class_token_, samples);
  const RowMap rows = RowMap::whole(pass.first_sample, config_.seq_len());
  x = add_positions(x, positions_, rows);
  x = dropout(x, pass.training ? config_.dropout : 0, dropout_key(pass, "embed"), rows);
  return region_.sequence ? slice(x, region_.tp) : x;
}

Var ViT::pooled(const Var& x, std::int64_t samples) const {
  const Var all = region_.sequence ? gather_replicated(x, region_.tp) : x;
  return norm_(config_.class_token ? first_rows(all, samples) : mean_pool(all, samples));
}

Shape ViT::output_shape(int part, const BatchShape& batch) const {
  if (static_cast<std::size_t>(part) > blocks_.size()) return {1};
  const std::int64_t rows = batch.samples * config_.seq_len();
  return {rows / (region_.sequence ? region_.tp.size() : 1), config_.block.width};
}

void ViT::visit(int part, const Visitor& f) {
  const auto index = static_cast<std::size_t>(part) - 1;
  if (part == 0) {
    f(patches_w_), f(patches_b_);
    if (class_token_) f(*class_token_);
    f(positions_);
  } else if (index < blocks_.size()) {
    blocks_[index].visit(f);
  } else {
    norm_.visit(f);
    f(head_w_), f(head_b_);
  }
}

}  // namespace fusor
