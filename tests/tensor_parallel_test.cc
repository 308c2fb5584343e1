// A GPT whose weights are split over tp, with and without sequence parallelism, against the same
// GPT on one rank: its loss and every gradient.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "models/gpt.h"
#include "ops/fill.h"
#include "runtime/target.h"
#include "runtime/trace.h"
#include "runtime/world.h"
#include "tests/near.h"
#include "tests/thrown_by.h"

namespace fusor {
namespace {

using testing::HasSubstr;

constexpr std::int64_t kSamples = 2, kSeqLen = 6;

// 51 words divide by no number of ranks.
GptConfig classic() {
  return resolve({.vocab_size = 51,
                  .seq_len = 8,
                  .layers = 2,
                  .width = 32,
                  .heads = 4,
                  .mlp_hidden = 24,
                  .dropout = 0.2});
}

GptConfig modern() {
  return resolve({.vocab_size = 51,
                  .seq_len = 8,
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

// Gives a parameter memory, and weights that are a function of names and global indices.
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

struct Result {
  double loss = 0;
  std::map<std::string, std::vector<double>> gradients;  // of whole tensors, by piece
};

// Adds what one rank of tp holds: parts in their places, shares of sums, and what all ranks have.
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

TokenBatch batch_on(const Device& device) {
  const std::int64_t n = kSamples * kSeqLen;
  TokenBatch batch{noise_ids({n}, 51, 1), noise_ids({n}, 51, 2), kSamples, kSeqLen};
  set(batch.targets, 3, kIgnoredTarget);
  if (device.kind() != DeviceKind::meta) return batch;
  return {Tensor({n}, DType::i32, device), Tensor({n}, DType::i32, device), kSamples, kSeqLen};
}

// One micro-batch's forward and backward.
double train(Gpt& gpt, const Device& device) {
  Tape tape;
  const Pass pass{.tape = &tape, .training = true, .seed = 5, .step = 3, .first_sample = 4};
  const Var loss = gpt.loss(batch_on(device), pass);
  const Tensor dloss({1}, DType::f64, device);
  ops::fill(dloss, 0.25);
  tape.backward(loss, dloss);
  return device.kind() == DeviceKind::meta ? 0 : at(loss.value(), 0);
}

Result run(const GptConfig& config, DType dtype, int tp, bool sequence) {
  Result whole;
  run_ranks(tp, [&](World& world) {
    const Device device = Device::heap(/*poison=*/true);
    Gpt gpt(config, Mesh::over(world.group(), {.tp = tp}, sequence));
    for (Parameter* p : parameters_of(gpt)) bind(*p, dtype, device);
    const double loss = train(gpt, device);
    for (int turn = 0; turn < tp; ++turn) {  // in rank order
      if (turn == world.rank()) {
        if (turn == 0) whole.loss = loss;
        EXPECT_EQ(loss, whole.loss) << "the loss is the same on every rank";
        for (Parameter* p : parameters_of(gpt)) gather(*p, turn == 0, whole);
      }
      world.group()->barrier("turn");
    }
  });
  return whole;
}

double largest(const std::vector<double>& values) {
  double most = 0;
  for (const double v : values) most = std::max(most, std::abs(v));
  EXPECT_GT(most, 0);
  return most;
}

struct Case {
  std::string name;
  GptConfig config;
  int tp;
  bool sequence;
  friend void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }
};

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const int tp : {2, 4})
    for (const bool sequence : {false, true}) {
      const std::string layout = "_tp" + std::to_string(tp) + (sequence ? "_sequence" : "");
      all.push_back({"classic" + layout, classic(), tp, sequence});
      all.push_back({"modern" + layout, modern(), tp, sequence});
    }
  return all;
}

class TensorParallel : public testing::TestWithParam<Case> {};
INSTANTIATE_TEST_SUITE_P(, TensorParallel, testing::ValuesIn(cases()),
                         [](const auto& test) { return test.param.name; });

TEST_P(TensorParallel, LossAndGradientsAreThoseOfOneRank) {
  const auto& [name, config, tp, sequence] = GetParam();
  for (const auto& [dtype, within] : {std::pair{DType::f64, 1e-12}, {DType::f32, 1e-5}}) {
    const Result one = run(config, dtype, 1, sequence), many = run(config, dtype, tp, sequence);
    EXPECT_NEAR(many.loss, one.loss, within * one.loss) << dtype;
    ASSERT_EQ(many.gradients.size(), one.gradients.size());
    for (const auto& [piece, want] : one.gradients) {
      const std::vector<double>& got = many.gradients.at(piece);
      ASSERT_EQ(got.size(), want.size()) << piece;
      // Softmax takes no notice of a key's bias: its gradient is rounding alone.
      const double scale = piece.ends_with(".k.bias") ? 1 : largest(want);
      EXPECT_THAT(got, testing::Pointwise(testing::DoubleNear(within * scale), want))
          << dtype << " " << piece;
    }
  }
}

TEST_P(TensorParallel, LogitsAreTheColumnsOfThisRanksWords) {
  const auto& [name, config, tp, sequence] = GetParam();
  const auto logits = [&](const Mesh& mesh) {
    Gpt gpt(config, mesh);
    for (Parameter* p : parameters_of(gpt)) bind(*p, DType::f64, Device());
    return gpt.logits(batch_on(Device()).tokens, kSamples, {}).value();
  };
  const Tensor whole = logits({});
  run_ranks(tp, [&, tp = tp, sequence = sequence](World& world) {
    const Tensor mine = logits(Mesh::over(world.group(), {.tp = tp}, sequence));
    const std::int64_t cols = mine.dim(1), larger = 51 % tp, rank = world.rank();
    EXPECT_EQ(cols, 51 / tp + (rank < larger));
    const std::int64_t first = rank * (51 / tp) + std::min(rank, larger);
    const std::vector<double> got = doubles(mine), want = doubles(whole);
    for (std::int64_t i = 0; i < mine.size(); ++i)
      ASSERT_NEAR(got[static_cast<std::size_t>(i)],
                  want[static_cast<std::size_t>(i / cols * 51 + first + i % cols)], 1e-12);
  });
}

// Passes on what it is asked, and keeps a note of it.
class Recorder final : public Transport {
 public:
  Recorder(Group inner, std::vector<std::string>& calls)
      : Transport(inner.rank(), inner.size(), inner.name()), inner_(inner), calls_(calls) {}
  std::unique_ptr<Transport> split(const std::vector<int>&, std::string) override { return {}; }

 private:
  Pending start(CommCall call) override {
    calls_.push_back(std::string(name_of(call.kind)) + " " + std::string(call.what) + " " +
                     std::to_string(call.in.size()));
    if (call.kind == CommKind::all_reduce) return inner_->all_reduce(call.in, call.op, call.what);
    if (call.kind == CommKind::all_gather) return inner_->all_gather(call.in, call.out, call.what);
    EXPECT_EQ(call.kind, CommKind::reduce_scatter);
    return inner_->reduce_scatter(call.in, call.out, call.what);
  }
  Group inner_;
  std::vector<std::string>& calls_;
};

TEST_P(TensorParallel, CallsAreThoseOfTheRehearsal) {
  const auto& [name, config, tp, sequence] = GetParam();
  const auto play = [&, tp = tp, sequence = sequence](const Group& world, const Device& device) {
    std::vector<std::string> calls;
    Mesh mesh;
    mesh.tp = Group(std::make_shared<Recorder>(world, calls));
    mesh.sequence = sequence;
    Gpt gpt(GetParam().config, mesh);
    for (Parameter* p : parameters_of(gpt)) bind(*p, DType::f32, device);
    train(gpt, device);
    return calls;
  };
  run_ranks(tp, [&](World& world) {
    Trace trace;
    const auto rehearsed =
        play(meta_group(trace, world.rank(), world.size(), "tp"), Device::meta(trace));
    EXPECT_EQ(play(world.group(), Device()), rehearsed);
    EXPECT_THAT(rehearsed, testing::Contains(HasSubstr("block.1/attn/")));
  });
}

// 8 rows of 16 over 4 ranks: what stays is this rank's product, but not the rows it was made from.
TEST(ColumnLinear, KeepsItsOwnRowsAlone) {
  Trace trace;
  const Device meta = Device::meta(trace);
  Mesh mesh;
  mesh.tp = meta_group(trace, 0, 4, "tp");
  mesh.sequence = true;
  ColumnLinear layer({{"up", 64}}, 16, 0.02, true, TensorRegion(mesh));
  bind(layer.w, DType::f32, meta), bind(*layer.b, DType::f32, meta);
  Tape tape;
  const Var x = Var::input(Tensor({2, 16}, DType::f32, meta), &tape, true);
  const std::size_t before = trace.events.size();
  const Var y = layer(x);
  std::map<std::uint64_t, std::size_t> alive;
  for (std::size_t i = before; i < trace.events.size(); ++i) {
    if (const auto* a = std::get_if<AllocEvent>(&trace.events[i])) alive[a->id] = a->bytes;
    if (const auto* r = std::get_if<ReleaseEvent>(&trace.events[i])) alive.erase(r->id);
  }
  EXPECT_EQ(y.shape(), (Shape{8, 16}));
  ASSERT_EQ(alive.size(), 1);
  EXPECT_EQ(alive.begin()->second, y.value().bytes());
}

TEST(Gpt, TellsTheShapesThatItsPartsReturn) {
  for (const bool sequence : {false, true}) {
    Trace trace;
    const Device meta = Device::meta(trace);
    const Group world = meta_group(trace, 3, 4, "world");
    Gpt gpt(modern(), Mesh::over(world, {.tp = 2, .cp = 2}, sequence));
    for (Parameter* p : parameters_of(gpt)) bind(*p, DType::f32, meta);
    const Tensor tokens({2 * 8 / 2}, DType::i32, meta);
    const TokenBatch batch{tokens, tokens, 2, 8};
    Var x;
    for (int part = 0; part < 4; ++part) {
      x = gpt.run(part, {x}, batch, {});
      EXPECT_EQ(x.shape(), gpt.output_shape(part, batch)) << part;
    }
  }
}

TEST(TensorParallelConfig, WhatCannotBeSplitNamesTheKeyAndTheNearestThatWorks) {
  const auto refusal = [](GptConfig config, int tp) {
    return thrown_by([&] { require_tensor_parallel(resolve(config), tp); });
  };
  EXPECT_THAT(refusal({.width = 64, .heads = 4}, 3),
              HasSubstr("parallel.tp 3 does not divide model.heads 4, the nearest that works: 4"));
  EXPECT_THAT(refusal({.width = 64, .heads = 8, .kv_heads = 2}, 8),
              HasSubstr("tp 8 does not divide model.kv_heads 2, the nearest that works: 2"));
  EXPECT_THAT(refusal({.width = 64, .heads = 8, .mlp_hidden = 6}, 4),
              HasSubstr("tp 4 does not divide model.mlp_hidden 6, the nearest that works: 2"));
  EXPECT_THAT(refusal({.vocab_size = 2, .width = 64, .heads = 4}, 4),
              HasSubstr("tp 4 is more than model.vocab_size 2, the nearest that works: 2"));
  require_tensor_parallel(resolve({}), 12);
}

}  // namespace
}  // namespace fusor
