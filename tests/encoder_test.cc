#include "models/encoder.h"

#include <gmock/gmock.h>

#include "ops/row_map.h"
#include "runtime/world.h"
#include "tests/golden.h"
#include "tests/gpt_on_mesh.h"
#include "tests/near.h"

namespace fusor {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

template <class Block>
std::vector<Parameter*> parameters_of(Block& block) {
  std::vector<Parameter*> all;
  block.visit([&](Parameter& p) { all.push_back(&p); });
  return all;
}

// The blocks of tests/golden/make_encoder.py.
class GoldenEncoder : public testing::Test {
 protected:
  static constexpr std::int64_t kSamples = 3, kLength = 7, kContextLength = 5, kWidth = 16;

  // Tensor `name` as the rows of an activation.
  Tensor rows(const std::string& name, DType dtype) const {
    const Tensor t = golden_.tensor(name);
    return cast(t, dtype).view({t.dim(0) * t.dim(1), t.dim(2)});
  }
  // Off by how much, as a fraction of the largest element or, where all are small, as it is: the
  // gradients of keys' biases are rounding alone.
  double apart(const Tensor& got, const std::string& name) const {
    const std::vector<double> a = doubles(got), b = doubles(golden_.tensor(name));
    EXPECT_EQ(a.size(), b.size()) << name;
    double worst = 0, scale = 1;
    for (std::size_t i = 0; i < a.size(); ++i) {
      worst = std::max(worst, std::abs(a[i] - b[i]));
      scale = std::max(scale, std::abs(b[i]));
    }
    return worst / scale;
  }
  void load(const std::vector<Parameter*>& parameters, DType dtype) const {
    for (Parameter* p : parameters) {
      const Tensor value(p->shape, dtype), grad(p->shape, acc_dtype(dtype));
      std::vector<double> all;
      for (const Piece& piece : p->pieces)
        std::ranges::copy(doubles(golden_.tensor(piece.name)), std::back_inserter(all));
      fill(value, [&](std::size_t i) { return all[i]; });
      p->var = Var::parameter(value, grad);
    }
  }
  void expect_gradients(const std::vector<Parameter*>& parameters, double within) const {
    for (Parameter* p : parameters) {
      std::int64_t row = 0;
      const Tensor& grad = p->var.grad().tensor();
      for (const Piece& piece : p->pieces) {
        const auto dot = piece.name.find('.');
        EXPECT_LT(apart(grad.rows(row, row + piece.rows),
                        piece.name.substr(0, dot) + ".grad" + piece.name.substr(dot)),
                  within)
            << piece.name;
        row += piece.rows;
      }
    }
  }
  // y, compared where it is no padding, and all gradients.
  template <class Block, class Run>
  void expect_golden(Block& block, DType dtype, double within, Run&& run) const {
    load(parameters_of(block), dtype);
    Tape tape;
    const Var x = Var::input(rows("x", dtype), &tape, true);
    const Var context = Var::input(rows("context", dtype), &tape, true);
    const Var y = run(x, context, Pass{.tape = &tape});
    tape.backward(y, rows("dy", dtype));
    const std::vector<double> dy = doubles(golden_.tensor("dy"));
    const Tensor shown = cast(y.value(), DType::f64);
    fill(shown, [&, at = doubles(y.value())](std::size_t i) { return dy[i] == 0 ? 0 : at[i]; });
    EXPECT_LT(apart(shown, block.name + ".y"), within);
    EXPECT_LT(apart(x.grad().tensor(), block.name + ".grad.x"), within);
    if (context.grad().tensor().defined()) {
      EXPECT_LT(apart(context.grad().tensor(), block.name + ".grad.context"), within);
    }
    expect_gradients(parameters_of(block), within);
  }

  Golden golden_{"encoder"};
  EncoderConfig config_{.width = kWidth, .heads = 4, .mlp_hidden = 24};
};

constexpr std::pair<DType, double> kWithin[] = {{DType::f64, 1e-13}, {DType::f32, 5e-6}};

TEST_F(GoldenEncoder, BlocksWithNormsBeforeAndAfterArePyTorchs) {
  const Sequences sequences{kSamples, kLength, golden_.tensor("lengths")};
  for (const auto& [dtype, within] : kWithin)
    for (const bool pre_norm : {true, false}) {
      config_.pre_norm = pre_norm;
      EncoderBlock block(pre_norm ? "pre" : "post", config_, {});
      expect_golden(block, dtype, within, [&](const Var& x, const Var&, const Pass& pass) {
        return block(x, sequences, pass);
      });
    }
}

TEST_F(GoldenEncoder, CrossAttentionIsPyTorchs) {
  const Sequences sequences{kSamples, kLength};
  const Sequences of_context{kSamples, kContextLength, golden_.tensor("context_lengths")};
  for (const auto& [dtype, within] : kWithin) {
    CrossBlock block("cross", config_, 12, {});
    expect_golden(block, dtype, within, [&](const Var& x, const Var& context, const Pass& pass) {
      return block(x, sequences, context, of_context, pass);
    });
  }
}

Tensor lengths_of(const std::vector<std::int32_t>& lengths) {
  Tensor t({static_cast<std::int64_t>(lengths.size())}, DType::i32);
  std::ranges::copy(lengths, t.host<std::int32_t>().begin());
  return t;
}

// An encoder block, then one that attends to its result and to a context, on a rank of a mesh.
struct Two {
  static constexpr std::int64_t kSamples = 4, kLength = 6, kContextLength = 10;
  EncoderBlock encoder;
  CrossBlock cross;
  TensorRegion region;

  explicit Two(const Mesh& mesh, EncoderConfig c = {.width = 16,
                                                    .heads = 4,
                                                    .mlp_hidden = 24,
                                                    .dropout = 0.2,
                                                    .attention_dropout = 0.2,
                                                    .drop_path = 0.3})
      : encoder("block.0", c, TensorRegion(mesh)),
        cross("block.1", c, 12, TensorRegion(mesh)),
        region(mesh) {}

  void visit(const Visitor& f) { encoder.visit(f), cross.visit(f); }

  // This rank's rows of whole [rows, cols].
  Tensor share(const Tensor& whole) const {
    if (!region.sequence) return cast(whole, whole.dtype());
    const std::int64_t rows = whole.dim(0) / region.tp.size(), first = region.tp.rank() * rows;
    return cast(whole.rows(first, first + rows), whole.dtype());
  }
  Var operator()(const Var& x, const Var& context, const Pass& pass) const {
    const Sequences sequences{kSamples, kLength, lengths_of({6, 0, 3, 1})};
    const Sequences of_context{kSamples, kContextLength, lengths_of({10, 4, 0, 1})};
    return cross(encoder(x, sequences, pass), sequences, context, of_context, pass);
  }
};

// The rows that all ranks of tp hold of a whole [rows, cols].
std::vector<double> whole_of(const Tensor& mine, const TensorRegion& region) {
  if (!region.sequence) return doubles(mine);
  const Tensor all({region.tp.size() * mine.dim(0), mine.dim(1)}, mine.dtype());
  region.tp->all_gather(mine, all, "rows").wait();
  return doubles(all);
}

// "y", the gradients of "x" and "context", and those of all weights.
gpt_on_mesh::Result run(int tp, bool sequence, bool recompute = false) {
  gpt_on_mesh::Result whole;
  run_ranks(tp, [&](World& world) {
    Two model(Mesh::over(world.group(), {.tp = tp}, sequence));
    model.visit([&](Parameter& p) { gpt_on_mesh::bind(p, DType::f64, Device()); });
    Tape tape;
    const Pass pass{.tape = &tape,
                    .training = true,
                    .recompute_attention = recompute,
                    .seed = 5,
                    .step = step_number(3),
                    .first_sample = 8};
    const Var x = Var::input(model.share(noise({24, 16}, DType::f64, 1)), &tape, true);
    const Var context = Var::input(model.share(noise({40, 12}, DType::f64, 2)), &tape, true);
    const Var y = model(x, context, pass);
    tape.backward(y, model.share(noise({24, 16}, DType::f64, 3)));
    const std::vector<double> values = whole_of(y.value(), model.region),
                              dx = whole_of(x.grad().tensor(), model.region),
                              dcontext = whole_of(context.grad().tensor(), model.region);
    for (int turn = 0; turn < tp; ++turn) {  // in rank order
      if (turn == world.rank()) {
        if (turn == 0) whole.gradients = {{"y", values}, {"x", dx}, {"context", dcontext}};
        EXPECT_EQ(whole.gradients["y"], values) << "it is the same on every rank";
        for (Parameter* p : parameters_of(model)) gpt_on_mesh::gather(*p, turn == 0, whole);
      }
      world.group()->barrier("turn");
    }
  });
  return whole;
}

TEST(Encoder, OfSeveralRanksIsThatOfOne) {
  const gpt_on_mesh::Result one = run(1, false);
  EXPECT_EQ(one.gradients.size(), 3 + 16 + 16);
  for (const int tp : {2, 4})
    for (const bool sequence : {false, true}) {
      SCOPED_TRACE(testing::Message() << "tp " << tp << ", sequence " << sequence);
      gpt_on_mesh::expect_same(run(tp, sequence), one, 1e-12);
    }
}

TEST(Encoder, RecomputesAttentionToTheSameBits) {
  const gpt_on_mesh::Result kept = run(1, false), again = run(1, false, /*recompute=*/true);
  EXPECT_EQ(again.gradients, kept.gradients);
}

TEST(Encoder, DropsNothingWhereItDoesNotTrain) {
  Two drops({}), plain({}, {.width = 16, .heads = 4, .mlp_hidden = 24});
  const auto y = [](Two& model) {
    model.visit([&](Parameter& p) { gpt_on_mesh::bind(p, DType::f64, Device()); });
    return doubles(model(Var::input(noise({24, 16}, DType::f64, 1)),
                         Var::input(noise({40, 12}, DType::f64, 2)), {})
                       .value());
  };
  EXPECT_EQ(y(drops), y(plain));
}

TEST(Encoder, TellsWhatCannotBeSplit) {
  const EncoderConfig c{.width = 18, .heads = 4};
  EXPECT_THAT([&] { EncoderBlock("block.0", c, {}); },
              ThrowsMessage<Error>(HasSubstr("block.0: heads 4 should divide the width, 18")));
  run_ranks(3, [](World& world) {
    const TensorRegion region(Mesh::over(world.group(), {.tp = 3}));
    EXPECT_THAT(
        [&] { EncoderBlock("block.0", {.width = 24, .heads = 4, .mlp_hidden = 24}, region); },
        ThrowsMessage<Error>(HasSubstr("does not divide block.0.attn's heads, 4")));
  });
  const CrossBlock cross("block.1", {.width = 16, .heads = 4, .mlp_hidden = 24}, 12, {});
  const Var x = Var::input(noise({6, 16}, DType::f64, 1)),
            context = Var::input(noise({9, 12}, DType::f64, 2));
  EXPECT_THAT(
      [&] {
        cross(x, {2, 3}, context, {3, 3}, {});
      },
      ThrowsMessage<Error>(HasSubstr("block.1: 2 samples attend to 3")));
}

}  // namespace
}  // namespace fusor
