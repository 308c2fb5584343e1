#include "models/speech.h"

#include "ops/add.h"
#include "ops/conv2d.h"
#include "ops/ctc_loss.h"
#include "ops/dropout.h"
#include "ops/embedding.h"
#include "ops/lstm.h"
#include "ops/pixels.h"
#include "ops/reshape.h"
#include "parallel/collectives.h"

namespace fusor {
namespace {

constexpr std::int64_t kKernel = 3;

Conv2dOptions halving() {
  Conv2dOptions options = Conv2dOptions::padded(0, 2);
  options.relu = true;
  return options;
}

// The features as an image of one channel, in the dtype that the model computes in.
Tensor features_of(const SpeechConfig& c, const Batch& batch, DType dtype) {
  const Tensor& x = batch["features"];
  require(x.rank() == 3 && x.dim(2) == c.bins, "features ", x.shape(), ", but the model takes ",
          c.bins, " bins");
  constexpr PixelScale kAsTheyAre{.mean = {}, .std = {1, 1, 1, 1}};
  return scaled_pixels(x.view({x.dim(0), x.dim(1), x.dim(2), 1}), kAsTheyAre, dtype);
}

}  // namespace

LstmLayer::LstmLayer(const std::string& n, std::int64_t in, std::int64_t width)
    : name(n),
      input_w(n + ".input.weight", {4 * width, in}, {.std = 0.05}),
      input_b(n + ".input.bias", {4 * width}, {}),
      state_w(n + ".state.weight", {4 * width, width / 2}, {.std = 0.05}) {}

Var LstmLayer::operator()(const Var& x, const Sequences& s) const {
  return lstm(linear(x, input_w, input_b), state_w, s.lengths, 2);
}

BatchShape speech_batch(const SpeechConfig& c, std::int64_t samples, std::int64_t frames,
                        std::int64_t labels) {
  return {.name = {},
          .samples = samples,
          .fields = {{"features", {samples, frames, c.bins}, DType::f32},
                     {"counts", {samples}, DType::i32},
                     {"labels", {samples, labels}, DType::i32},
                     {"label_counts", {samples}, DType::i32}}};
}

Speech::Speech(const SpeechConfig& c, const Mesh& mesh)
    : config_(c),
      region_(mesh),
      conv1_w_("conv1.weight", {c.channels, kKernel, kKernel, 1}, {.std = 0.3}),
      conv1_b_("conv1.bias", {c.channels}, {}),
      conv2_w_("conv2.weight", {c.channels, kKernel, kKernel, c.channels}, {.std = 0.05}),
      conv2_b_("conv2.bias", {c.channels}, {}),
      join_w_("join.weight", {c.block.width, subsampled(c.bins) * c.channels},
              {.std = c.block.init_std}),
      join_b_("join.bias", {c.block.width}, {}),
      norm_("norm", Norm::layer_norm, c.block.width, c.block.norm_eps, TensorRegion()),
      head_w_("head.weight", {c.labels, c.block.width}, {.std = c.block.init_std}),
      head_b_("head.bias", {c.labels}, {}) {
  check(c);
  require(mesh.cp.size() == 1 && mesh.ep.size() == 1,
          "a speech model is split over dp, tp and pp alone: cp ", mesh.cp.size(), " and ep ",
          mesh.ep.size(), " must be 1");
  if (c.encoder == SpeechEncoder::lstm) {
    region_ = {};
    for (std::int64_t i = 0; i < layers(); ++i)
      lstms_.emplace_back("block." + std::to_string(i), c.block.width, c.block.width);
    return;
  }
  positions_.emplace("positions.weight", Shape{c.max_frames, c.block.width},
                     Fill{.std = c.block.init_std});
  blocks_.reserve(static_cast<std::size_t>(layers()));
  for (std::int64_t i = 0; i < layers(); ++i)
    blocks_.emplace_back("block." + std::to_string(i), c.block, region_);
}

std::vector<Part> Speech::parts() const {
  std::vector<Part> parts{{"subsample", {}, /*reads_batch=*/true}};
  for (int i = 0; i < static_cast<int>(layers()); ++i)
    parts.push_back({"block." + std::to_string(i), {i}, /*reads_batch=*/true});
  parts.push_back({"head", {static_cast<int>(layers())}, /*reads_batch=*/true});
  return parts;
}

Sequences Speech::sequences_of(const Batch& batch) const {
  const std::int64_t frames = subsampled(batch.shape["features"].shape[1]);
  require(frames > 0 && (!positions_ || frames <= config_.max_frames), "batches of ", frames,
          " frames after subsampling, but model.max_frames is ", config_.max_frames);
  return {batch.shape.samples, frames, batch["counts"]};
}

Var Speech::run(int part, const std::vector<Var>& inputs, const Batch& batch,
                const Pass& pass) const {
  if (part == 0) return subsample(batch, pass);
  if (part <= layers()) return encode(part, inputs.at(0), batch, pass);
  const CtcTargets targets{batch["labels"], batch["label_counts"], batch["counts"]};
  const CtcLoss loss = ctc_loss(head(inputs.at(0)), targets, kCtcBlank);
  if (pass.tape) return loss.sum;
  const Tensor told({2}, DType::f64, loss.impossible.device());
  ops::add_into(told.rows(0, 1), loss.sum.value(), false);
  ops::add_into(told.rows(1, 2), loss.impossible, false);
  return Var::input(told);
}

// All ranks of tp do the same, up to where rows are split.
Var Speech::subsample(const Batch& batch, const Pass& pass) const {
  const Sequences s = sequences_of(batch);
  const Tensor image = features_of(config_, batch, conv1_w_.var.value().dtype());
  Var x = conv2d(Var::input(image, pass.tape), conv1_w_, conv1_b_, halving());
  x = conv2d(x, conv2_w_, conv2_b_, halving());
  x = reshape(x, {s.samples * s.seq_len, join_w_.shape[1]});
  x = linear(x, join_w_, join_b_);
  const RowMap rows = RowMap::whole(pass.first_sample, s.seq_len);
  if (positions_) x = add_positions(x, *positions_, rows);
  x = dropout(x, pass.training ? config_.block.dropout : 0, dropout_key(pass, "subsample"), rows);
  return region_.sequence ? slice(x, region_.tp) : x;
}

Var Speech::encode(int part, const Var& x, const Batch& batch, const Pass& pass) const {
  const Sequences s = sequences_of(batch);
  const auto index = static_cast<std::size_t>(part) - 1;
  if (!blocks_.empty()) return blocks_[index](x, s, pass);
  const Var y = lstms_[index](x, s);
  return dropout(y, pass.training ? config_.block.dropout : 0,
                 dropout_key(pass, lstms_[index].name),
                 RowMap::whole(pass.first_sample, s.seq_len));
}

Var Speech::head(const Var& x) const {
  return linear(norm_(region_.sequence ? gather_replicated(x, region_.tp) : x), head_w_, head_b_);
}

Var Speech::logits(const Batch& batch, const Pass& pass) const {
  Var x = subsample(batch, pass);
  for (int part = 1; part <= layers(); ++part) x = encode(part, x, batch, pass);
  return head(x);
}

Shape Speech::output_shape(int part, const BatchShape& batch) const {
  if (part > layers()) return {1};
  const std::int64_t rows = batch.samples * subsampled(batch["features"].shape[1]);
  return {rows / (region_.sequence ? region_.tp.size() : 1), config_.block.width};
}

void Speech::visit(int part, const Visitor& f) {
  const auto index = static_cast<std::size_t>(part) - 1;
  if (part == 0) {
    f(conv1_w_), f(conv1_b_), f(conv2_w_), f(conv2_b_), f(join_w_), f(join_b_);
    if (positions_) f(*positions_);
  } else if (part > layers()) {
    norm_.visit(f);
    f(head_w_), f(head_b_);
  } else if (!blocks_.empty()) {
    blocks_[index].visit(f);
  } else {
    lstms_[index].visit(f);
  }
}

}  // namespace fusor
