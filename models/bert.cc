#include "models/bert.h"

#include "models/class_loss.h"
#include "ops/add.h"
#include "ops/dropout.h"
#include "ops/embedding.h"
#include "ops/gelu.h"
#include "ops/mean_pool.h"
#include "ops/pick_rows.h"
#include "ops/tanh.h"
#include "parallel/collectives.h"

namespace fusor {
namespace {

// Split over tp by words, with all rows on each rank.
TensorRegion whole_rows(const Mesh& mesh) {
  TensorRegion region(mesh);
  region.sequence = false;
  return region;
}

Sequences sequences_of(const Batch& batch) {
  Sequences s{batch.shape.samples, batch.shape["tokens"].shape[1]};
  if (batch.has("lengths")) s.lengths = batch.flat("lengths");
  return s;
}

// This rank's part of the ids of all rows.
Tensor share_of(const Tensor& ids, const TensorRegion& region) {
  if (!region.sequence) return ids;
  const std::int64_t rows = region.share(ids.dim(0), "a batch's rows");
  return ids.rows(region.tp.rank() * rows, (region.tp.rank() + 1) * rows);
}

Piece named(Piece words, const std::string& name) {
  words.name = name;
  return words;
}

}  // namespace

MaskedWordsHead::MaskedWordsHead(const BertConfig& c, const Mesh& mesh)
    : region(whole_rows(mesh)),
      dense_w("head.dense.weight", {c.block.width, c.block.width}, {.std = c.block.init_std}),
      dense_b("head.dense.bias", {c.block.width}, {}),
      norm("head.norm", Norm::layer_norm, c.block.width, c.block.norm_eps, TensorRegion()),
      words("embed.weight", c.vocab_size, c.block.width, c.block.init_std, region),
      bias({named(words.w.pieces[0], "head.bias")}, {words.w.shape[0]}, {}) {}

Var MaskedWordsHead::operator()(const Var& x) const {
  const Var h = norm(gelu(linear(x, dense_w, dense_b), GeluForm::erf));
  return column_linear(h, words.w, bias, region);
}

void MaskedWordsHead::visit(const Visitor& f) {
  f(dense_w), f(dense_b), norm.visit(f), f(words.w), f(bias);
}

ClassesHead::ClassesHead(const BertConfig& c)
    : w("head.weight", {c.classes, c.block.width}, {.std = c.block.init_std}),
      b("head.bias", {c.classes}, {}),
      dropout(c.block.dropout) {
  if (c.pooling == Pooling::mean) return;
  pooler_w.emplace("head.pooler.weight", Shape{c.block.width, c.block.width},
                   Fill{.std = c.block.init_std});
  pooler_b.emplace("head.pooler.bias", Shape{c.block.width}, Fill{});
}

Var ClassesHead::operator()(const Var& x, const Sequences& s, const Pass& pass) const {
  const Var pooled = pooler_w ? tanh(linear(first_rows(x, s.samples), *pooler_w, *pooler_b))
                              : mean_pool(x, s.samples, s.lengths);
  const Var kept = fusor::dropout(pooled, pass.training ? dropout : 0, dropout_key(pass, "head"),
                                  RowMap::whole(pass.first_sample, 1));
  return linear(kept, w, b);
}

void ClassesHead::visit(const Visitor& f) {
  if (pooler_w) f(*pooler_w), f(*pooler_b);
  f(w), f(b);
}

Bert::Bert(const BertConfig& c, const Mesh& mesh)
    : config_((check(c), c)),
      region_(mesh),
      words_("embed.weight", c.vocab_size, c.block.width, c.block.init_std, region_),
      positions_("positions.weight", {c.seq_len, c.block.width}, {.std = c.block.init_std}),
      norm_("embed.norm", Norm::layer_norm, c.block.width, c.block.norm_eps, region_) {
  require(mesh.cp.size() == 1 && mesh.ep.size() == 1,
          "a BERT is split over dp, tp and pp alone: cp ", mesh.cp.size(), " and ep ",
          mesh.ep.size(), " must be 1");
  positions_.partial_over_tp = region_.sequence;
  if (c.types > 0) {
    types_.emplace("types.weight", Shape{c.types, c.block.width}, Fill{.std = c.block.init_std});
    types_->partial_over_tp = region_.sequence;
  }
  blocks_.reserve(static_cast<std::size_t>(c.layers));
  for (std::int64_t i = 0; i < c.layers; ++i)
    blocks_.emplace_back("block." + std::to_string(i), c.block, region_);
  if (c.head == BertHead::classes) {
    classes_.emplace(c);
  } else {
    masked_words_.emplace(c, mesh);
    masked_words_->words.w.twin_of = &words_.w;
  }
}

std::vector<Part> Bert::parts() const {
  std::vector<Part> parts{{"embed", {}, /*reads_batch=*/true}};
  for (const EncoderBlock& block : blocks_)  // they read the lengths
    parts.push_back({block.name, {static_cast<int>(parts.size()) - 1}, /*reads_batch=*/true});
  parts.push_back({"head", {static_cast<int>(parts.size()) - 1}, /*reads_batch=*/true});
  return parts;
}

Var Bert::run(int part, const std::vector<Var>& inputs, const Batch& batch,
              const Pass& pass) const {
  if (part == 0) return embed(batch, pass);
  const auto index = static_cast<std::size_t>(part) - 1;
  if (index < blocks_.size()) return blocks_[index](inputs.at(0), sequences_of(batch), pass);
  return head(inputs.at(0), batch, pass);
}

Var Bert::embed(const Batch& batch, const Pass& pass) const {
  const std::int64_t seq_len = batch.shape["tokens"].shape[1];
  require(seq_len <= config_.seq_len, "sequences of ", seq_len, " tokens, but the model takes ",
          config_.seq_len);
  const Tensor tokens = batch.flat("tokens");
  const RowMap all = RowMap::whole(pass.first_sample, seq_len);
  const RowMap rows =
      region_.sequence
          ? all.rows_from(region_.tp.rank() * region_.share(tokens.dim(0), "a batch's rows"))
          : all;
  Var x = words_.embed(Var::input(tokens, pass.tape));
  if (types_)
    x = add(x, embedding(*types_, Var::input(share_of(batch.flat("types"), region_), pass.tape)));
  x = norm_(add_positions(x, positions_, rows));
  return dropout(x, pass.training ? config_.block.dropout : 0, dropout_key(pass, "embed"), rows);
}

Var Bert::encode(const Batch& batch, const Pass& pass) const {
  Var x = embed(batch, pass);
  for (const EncoderBlock& block : blocks_) x = block(x, sequences_of(batch), pass);
  return region_.sequence ? gather_replicated(x, region_.tp) : x;
}

// All ranks of tp do the same, but for the words that are split.
Var Bert::head(const Var& x, const Batch& batch, const Pass& pass) const {
  const Var all = region_.sequence ? gather_replicated(x, region_.tp) : x;
  if (classes_)
    return class_loss(config_.classes, config_.label_smoothing,
                      (*classes_)(all, sequences_of(batch), pass), batch, pass);
  const Var logits = (*masked_words_)(pick_rows(all, batch["positions"]));
  return masked_words_->words.loss(logits, batch.flat("targets"));
}

std::vector<std::string> Bert::measures() const {
  return classes_ ? class_measures() : std::vector<std::string>{};
}

Shape Bert::output_shape(int part, const BatchShape& batch) const {
  if (static_cast<std::size_t>(part) > blocks_.size()) return {1};
  const std::int64_t rows = num_elements(batch["tokens"].shape);
  return {rows / (region_.sequence ? region_.tp.size() : 1), config_.block.width};
}

void Bert::visit(int part, const Visitor& f) {
  const auto index = static_cast<std::size_t>(part) - 1;
  if (part == 0) {
    f(words_.w), f(positions_);
    if (types_) f(*types_);
    norm_.visit(f);
  } else if (index < blocks_.size()) {
    blocks_[index].visit(f);
  } else if (classes_) {
    classes_->visit(f);
  } else {
    masked_words_->visit(f);
  }
}

}  // namespace fusor
