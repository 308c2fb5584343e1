#include "models/bert.h"

#include <gmock/gmock.h>

#include "ops/fill.h"
#include "runtime/world.h"
#include "tests/golden.h"
#include "tests/gpt_on_mesh.h"
#include "tests/near.h"

namespace fusor {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

// The models of tests/golden/make_bert.py.
BertConfig small(BertHead head, Pooling pooling = Pooling::first) {
  BertConfig c{.vocab_size = 37, .seq_len = 12, .layers = 2, .head = head, .classes = 3};
  c.block.width = 16, c.block.heads = 4, c.block.mlp_hidden = 24;
  c.pooling = pooling;
  return c;
}

Batch batch_with(std::int64_t samples, const std::vector<std::pair<std::string, Tensor>>& fields) {
  Batch batch;
  batch.shape.samples = samples;
  for (const auto& [name, value] : fields) {
    batch.shape.fields.push_back({name, value.shape(), value.dtype()});
    batch.values.push_back(value);
  }
  return batch;
}

class GoldenBert : public testing::Test {
 protected:
  Batch batch() const {
    std::vector<std::pair<std::string, Tensor>> fields;
    for (const char* name : {"tokens", "types", "lengths", "positions", "targets", "label"})
      fields.emplace_back(name, golden_.tensor(name));
    return batch_with(3, fields);
  }
  void load(Bert& model, const std::string& name, DType dtype) const {
    for (Parameter* p : parameters_of(model)) {
      const Tensor value(p->shape, dtype), grad(p->shape, acc_dtype(dtype));
      ops::fill(grad, 0);
      std::vector<double> all;
      for (const Piece& piece : p->pieces)
        std::ranges::copy(doubles(golden_.tensor(name + "." + piece.name)),
                          std::back_inserter(all));
      fill(value, [&](std::size_t i) { return all.at(i); });
      p->var = Var::parameter(value, grad);
    }
  }
  // Of each tensor; what is used twice, the embedding, is summed.
  std::map<std::string, std::vector<double>> gradients(Bert& model) const {
    std::map<std::string, std::vector<double>> all;
    for (Parameter* p : parameters_of(model)) {
      std::int64_t row = 0;
      for (const Piece& piece : p->pieces) {
        const auto here = doubles(p->var.grad().tensor().rows(row, row + piece.rows));
        std::vector<double>& sum = all[piece.name];
        sum.resize(here.size());
        for (std::size_t i = 0; i < here.size(); ++i) sum[i] += here[i];
        row += piece.rows;
      }
    }
    return all;
  }
  void expect_golden(const std::string& name, const BertConfig& config, DType dtype,
                     double within) const {
    Bert model(config);
    load(model, name, dtype);
    Tape tape;
    const Var loss = model.loss(batch(), {.tape = &tape});
    const double want = golden_.read<double>(name + ".loss")[0];
    EXPECT_NEAR(at(loss.value(), 0), want, within * want);
    const Tensor one({1}, DType::f64);
    ops::fill(one, 1);
    tape.backward(loss, one);
    for (const auto& [piece, got] : gradients(model)) {
      const auto expected = doubles(golden_.tensor(name + ".grad." + piece));
      ASSERT_EQ(got.size(), expected.size()) << piece;
      double scale = 1;  // gradients of keys' biases are rounding alone
      for (const double g : expected) scale = std::max(scale, std::abs(g));
      EXPECT_THAT(got, testing::Pointwise(testing::DoubleNear(within * scale), expected)) << piece;
    }
  }

  Golden golden_{"bert"};
};

constexpr std::pair<DType, double> kWithin[] = {{DType::f64, 1e-12}, {DType::f32, 2e-5}};

TEST_F(GoldenBert, PredictsWordsAsHuggingFaces) {
  for (const auto& [dtype, within] : kWithin)
    expect_golden("words", small(BertHead::masked_words), dtype, within);
}

TEST_F(GoldenBert, TellsClassesAsHuggingFaces) {
  for (const auto& [dtype, within] : kWithin)
    expect_golden("first", small(BertHead::classes), dtype, within);
}

TEST_F(GoldenBert, WhatIsPaddedChangesNothing) {
  const auto loss_with = [&](std::int32_t padding) {
    Bert model(small(BertHead::classes, Pooling::mean));
    for (Parameter* p : parameters_of(model)) gpt_on_mesh::bind(*p, DType::f64, Device());
    Batch padded = batch();
    padded.values[0] = cast(padded.values[0], DType::i32);
    for (std::int64_t t = 5; t < 9; ++t) set(padded.values[0], 9 + t, padding);  // sample 1
    return at(model.loss(padded, {}).value(), 0);
  };
  EXPECT_EQ(loss_with(0), loss_with(36));
}

// Four samples of six tokens, or a rank's share of them.
Batch share(const Mesh& mesh) {
  const std::int64_t here = 4 / mesh.dp.size(), first = mesh.dp.rank() * here;
  const auto rows = [&](const Tensor& t) { return cast(t.rows(first, first + here), DType::i32); };
  Tensor lengths({4}, DType::i32), targets = noise_ids({4, 3}, 37, 3);
  fill(lengths, [](std::size_t i) { return std::array{6, 2, 5, 3}[i]; });
  set(targets, 4, -1), set(targets, 9, -1);
  return batch_with(here, {{"tokens", rows(noise_ids({4, 6}, 37, 1))},
                           {"types", rows(noise_ids({4, 6}, 2, 2))},
                           {"lengths", rows(lengths)},
                           {"positions", rows(noise_ids({4, 3}, 2, 4))},
                           {"targets", rows(targets)},
                           {"label", rows(noise_ids({4}, 3, 5))}});
}

// The loss and every gradient, with dropout, over all ranks of a mesh as threads.
gpt_on_mesh::Result run(const BertConfig& config, const MeshShape& shape, bool sequence) {
  gpt_on_mesh::Result whole;
  run_ranks(shape.size(), [&](World& world) {
    const Mesh mesh = Mesh::over(world.group(), shape, sequence);
    Bert model(config, mesh);
    for (Parameter* p : parameters_of(model)) {
      gpt_on_mesh::bind(*p, DType::f64, Device::heap(/*poison=*/true));
      ops::fill(p->var.grad().tensor(), 0);
    }
    Tape tape;
    const Batch batch = share(mesh);
    const Var loss = model.loss(batch, {.tape = &tape,
                                        .training = true,
                                        .seed = 5,
                                        .step = step_number(3),
                                        .first_sample = mesh.dp.rank() * batch.shape.samples});
    const Tensor one({1}, DType::f64), sum = cast(loss.value(), DType::f64);
    ops::fill(one, 1);
    tape.backward(loss, one);
    mesh.data->all_reduce(sum, ReduceOp::sum, "loss").wait();
    for (Parameter* p : parameters_of(model))
      mesh.data->all_reduce(p->var.grad().tensor(), ReduceOp::sum, "gradient").wait();
    for (int turn = 0; turn < shape.size(); ++turn) {  // in rank order
      if (turn == world.rank() && mesh.place.dp == 0) {
        if (turn == 0) whole.loss = at(sum, 0);
        EXPECT_EQ(at(sum, 0), whole.loss) << "the loss is the same on every rank";
        for (Parameter* p : parameters_of(model))
          gpt_on_mesh::gather(*p, mesh.place.tp == 0, whole);
      }
      world.group()->barrier("turn");
    }
  });
  return whole;
}

TEST(Bert, OfSeveralRanksIsThatOfOne) {
  for (const BertConfig& config : {small(BertHead::masked_words), small(BertHead::classes),
                                   small(BertHead::classes, Pooling::mean)}) {
    const gpt_on_mesh::Result one = run(config, {}, false);
    for (const MeshShape& shape : {MeshShape{.tp = 2}, {.tp = 4}, {.dp = 2}, {.dp = 2, .tp = 2}})
      for (const bool sequence : {false, true}) {
        SCOPED_TRACE(testing::Message() << "tp " << shape.tp << ", dp " << shape.dp);
        gpt_on_mesh::expect_same(run(config, shape, sequence), one, 1e-11);
      }
  }
}

TEST(Bert, IsAsLargeAsPublished) {
  const auto size = [](const char* preset) {
    BertConfig config = bert_preset(preset);
    config.head = BertHead::classes;  // whose pooler counts, but not what tells the classes
    Bert model(config);
    std::int64_t size = 0;
    for (const Parameter* p : parameters_of(model)) size += num_elements(p->shape);
    return size - 2 * config.block.width - 2;
  };
  EXPECT_EQ(size("bert-tiny"), 4'385'920);
  EXPECT_EQ(size("bert-mini"), 11'170'560);
  EXPECT_EQ(size("bert-base"), 109'482'240);
  EXPECT_EQ(size("bert-large"), 335'141'888);
}

TEST(Bert, TellsWhatCannotBe) {
  const auto refusal = [](BertConfig config) { return [=] { Bert{config}; }; };
  BertConfig config = small(BertHead::classes);
  config.block.heads = 3;
  EXPECT_THAT(refusal(config), ThrowsMessage<Error>(HasSubstr("should divide model.width 16")));
  config = small(BertHead::classes);
  config.classes = 1;
  EXPECT_THAT(refusal(config), ThrowsMessage<Error>(HasSubstr("nothing to tell apart")));
  EXPECT_THAT([] { bert_preset("bert-bas"); }, ThrowsMessage<Error>(HasSubstr("bert-base")));
  run_ranks(2, [](World& world) {
    EXPECT_THAT([&] { Bert(small(BertHead::classes), Mesh::over(world.group(), {.cp = 2})); },
                ThrowsMessage<Error>(HasSubstr("cp 2 and ep 1 must be 1")));
  });
  Bert model(small(BertHead::classes));
  for (Parameter* p : parameters_of(model)) gpt_on_mesh::bind(*p, DType::f32, Device());
  const Batch longer = batch_with(1, {{"tokens", noise_ids({1, 13}, 37, 1)}});
  EXPECT_THAT([&] { model.loss(longer, {}); },
              ThrowsMessage<Error>(HasSubstr("sequences of 13 tokens, but the model takes 12")));
}

}  // namespace
}  // namespace fusor
