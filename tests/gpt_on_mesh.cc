#include "tests/gpt_on_mesh.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ops/fill.h"
#include "ops/row_map.h"
#include "runtime/target.h"
#include "runtime/world.h"
#include "tests/near.h"

namespace fusor::gpt_on_mesh {
namespace {

bool is_split(const Parameter& p, const Piece& piece) {
  return piece.whole > piece.rows || p.whole_columns > p.shape.back();
}

// Calls f(index in p, index in the whole tensor) for each element of a piece of p.
template <class F>
void for_elements(const Parameter& p, const Piece& piece, std::int64_t row, F&& f) {
  const std::int64_t cols = p.shape.size() > 1 ? p.shape[1] : 1;
  const std::int64_t whole_cols = p.whole_columns ? p.whole_columns : cols;
  for (std::int64_t r = 0; r < piece.rows; ++r)
    for (std::int64_t c = 0; c < cols; ++c)
      f((row + r) * cols + c, (piece.first + r) * whole_cols + p.first_column + c);
}

// The sum over a group of what its ranks hold.
void sum_over(const Group& group, const Tensor& t) {
  group->all_reduce(t, ReduceOp::sum, "sum").wait();
}

double largest(const std::vector<double>& values) {
  double most = 0;
  for (const double v : values) most = std::max(most, std::abs(v));
  EXPECT_GT(most, 0);
  return most;
}

}  // namespace

// 51 words divide by no number of ranks.
GptConfig classic() {
  return resolve({.vocab_size = kWords,
                  .seq_len = 32,
                  .layers = 2,
                  .width = 32,
                  .heads = 4,
                  .mlp_hidden = 24,
                  .dropout = 0.2});
}

GptConfig modern() {
  return resolve({.vocab_size = kWords,
                  .seq_len = 32,
                  .layers = 2,
                  .width = 32,
                  .heads = 8,
                  .kv_heads = 4,
                  .mlp_hidden = 24,
                  .norm = Norm::rms_norm,
                  .activation = Activation::swiglu,
                  .positions = Positions::rotary,
                  .bias = false,
                  .tied_embeddings = false,
                  .dropout = 0.2});
}

GptConfig sparse() {
  GptConfig c = modern();
  c.experts = 4, c.capacity_factor = 0.8;
  return resolve(c);
}

void bind(Parameter& p, DType dtype, const Device& device) {
  const Tensor weight(p.shape, dtype, device), grad(p.shape, acc_dtype(dtype), device);
  p.var = Var::parameter(weight, grad);
  if (device.kind() == DeviceKind::meta) return;
  std::vector<double> values(static_cast<std::size_t>(weight.size()));
  std::int64_t row = 0;
  for (const Piece& piece : p.pieces) {
    const RandomKey key = random_key(7, piece.name);
    for_elements(p, piece, row, [&](std::int64_t here, std::int64_t global) {
      values[static_cast<std::size_t>(here)] =
          p.fill.constant + 0.6 * uniform(key, static_cast<std::uint64_t>(global)) - 0.3;
    });
    row += piece.rows;
  }
  fill(weight, [&](std::size_t i) { return values[i]; });
}

// Parts in their places, shares of sums, and what all ranks of tp have.
void gather(Parameter& p, bool first_rank, Result& result) {
  const std::vector<double> here = doubles(p.var.grad().tensor());
  const std::int64_t cols = p.shape.size() > 1 ? p.shape[1] : 1;
  std::int64_t row = 0;
  for (const Piece& piece : p.pieces) {
    const std::int64_t rows = piece.whole ? piece.whole : piece.rows;
    std::vector<double>& whole = result.gradients[piece.name];
    whole.resize(static_cast<std::size_t>(rows * (p.whole_columns ? p.whole_columns : cols)));
    const bool adds = first_rank || p.partial_over_tp || is_split(p, piece);
    for_elements(p, piece, row, [&](std::int64_t i, std::int64_t global) {
      double& to = whole[static_cast<std::size_t>(global)];
      const double g = here[static_cast<std::size_t>(i)];
      if (adds)
        to += g;
      else
        EXPECT_NEAR(to, g, 1e-5 * (1 + std::abs(g))) << piece.name << " differs between ranks";
    });
    row += piece.rows;
  }
}

Batch batch_of(const RowMap& rows, const Device& device) {
  const BatchShape shape = token_batch(kSamples, rows);
  const Shape& here = shape["tokens"].shape;
  const Shape all{(rows.first_sample + kSamples) * kSeqLen, 1};
  if (device.kind() == DeviceKind::meta) return Batch::empty(shape, device);
  std::vector<std::int64_t> from;
  for (std::int64_t r = 0; r < num_elements(here); ++r) from.push_back(rows.global_row(r));
  const Tensor targets = noise_ids(all, kWords, 2);
  set(targets, 3, kIgnoredTarget);
  return {shape,
          {rows_of(noise_ids(all, kWords, 1), from).view(here), rows_of(targets, from).view(here)}};
}

double train(Gpt& gpt, const Mesh& mesh, const Device& device, int micro) {
  Tape tape;
  const std::int64_t first = micro * kSamples;
  const Pass pass{.tape = &tape,
                  .training = true,
                  .seed = 5,
                  .step = step_number(3),
                  .first_sample = kFirstSample + first};
  const RowMap rows = RowMap::zigzag(first, kSeqLen, mesh.cp.rank(), mesh.cp.size());
  const Var loss = gpt.loss(batch_of(rows, device), pass);
  const Tensor dloss({1}, DType::f64, device);
  ops::fill(dloss, 0.25);
  tape.backward(loss, dloss);
  return device.kind() == DeviceKind::meta ? 0 : at(loss.value(), 0);
}

Result run(const GptConfig& config, DType dtype, const MeshShape& shape, bool sequence,
           int micros) {
  Result whole;
  run_ranks(shape.size(), [&](World& world) {
    const Device device = Device::heap(/*poison=*/true);
    const Mesh mesh = Mesh::over(world.group(), shape, sequence);
    Gpt gpt(config, mesh);
    for (Parameter* p : parameters_of(gpt)) bind(*p, dtype, device);
    double sum = 0;
    const int here = micros / shape.dp;
    for (int i = 0; i < here; ++i) sum += train(gpt, mesh, device, mesh.dp.rank() * here + i);
    const Tensor loss({1}, DType::f64);
    set(loss, 0, sum);
    sum_over(mesh.data, loss);
    for (Parameter* p : parameters_of(gpt))
      sum_over(p->expert ? mesh.expert_data : mesh.data, p->var.grad().tensor());
    for (int turn = 0; turn < shape.size(); ++turn) {  // in rank order
      const auto& [tp, cp, dp, pp] = mesh.place;
      if (turn == world.rank() && cp == 0 && dp < shape.ep) {  // one copy of each weight
        if (turn == 0) whole.loss = at(loss, 0);
        EXPECT_EQ(at(loss, 0), whole.loss) << "the loss is the same on every rank";
        for (Parameter* p : parameters_of(gpt))
          if (dp == 0 || p->expert) gather(*p, tp == 0, whole);
      }
      world.group()->barrier("turn");
    }
  });
  return whole;
}

void expect_same(const Result& many, const Result& one, double within) {
  EXPECT_NEAR(many.loss, one.loss, within * one.loss);
  ASSERT_EQ(many.gradients.size(), one.gradients.size());
  for (const auto& [piece, want] : one.gradients) {
    const std::vector<double>& got = many.gradients.at(piece);
    ASSERT_EQ(got.size(), want.size()) << piece;
    // Softmax takes no notice of a key's bias: its gradient is rounding alone.
    const double scale = piece.ends_with(".k.bias") ? 1 : largest(want);
    EXPECT_THAT(got, testing::Pointwise(testing::DoubleNear(within * scale), want)) << piece;
  }
}

}  // namespace fusor::gpt_on_mesh
