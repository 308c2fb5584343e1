// A model whose graph branches and joins, as a fusion of two encoders does, in pipelines whose
// stages lie apart.
#include <gtest/gtest.h>

#include <mutex>
#include <string>
#include <vector>

#include "models/pipeline.h"
#include "ops/add.h"
#include "ops/cross_entropy.h"
#include "ops/embedding.h"
#include "ops/linear.h"
#include "parallel/optimizer_step.h"
#include "runtime/random.h"
#include "runtime/world.h"

namespace fusor {
namespace {

constexpr std::int64_t kTokens = 6, kWidth = 8, kVocab = 11;
constexpr int kMicros = 5;

// first, second: encoders of the same tokens, which trunk reads. deep reads trunk and `first`,
// tower deep, and head almost all of them, whose gradients are then one tensor.
class TwoEncoders final : public Model {
 public:
  std::vector<Part> parts() const override {
    return {{"first", {}, true}, {"second", {}, true}, {"trunk", {0, 1}},
            {"deep", {0, 2}},    {"tower", {3}},       {"head", {0, 1, 2, 4}, true}};
  }
  Shape output_shape(int part, const BatchShape&) const override {
    return part == 5 ? Shape{1} : Shape{kTokens, kWidth};
  }
  Var run(int part, const std::vector<Var>& in, const Batch& batch,
          const Pass& pass) const override {
    const auto encode = [&](const Parameter& table, const Parameter& w) {
      return linear(embedding(table, Var::input(batch["tokens"], pass.tape)), w);
    };
    if (part == 0) return encode(table_[0], weight_[0]);
    if (part == 1) return encode(table_[1], weight_[1]);
    Var x = in[0];
    for (std::size_t i = 1; i < in.size(); ++i) x = add(x, in[i]);
    if (part < 5) return linear(x, weight_[static_cast<std::size_t>(part)]);
    return cross_entropy(linear(x, out_), batch["targets"]);
  }
  void visit(int part, const Visitor& f) override {
    if (part < 2) f(table_[static_cast<std::size_t>(part)]);
    f(part < 5 ? weight_[static_cast<std::size_t>(part)] : out_);
  }

 private:
  static Parameter matrix(const std::string& name, std::int64_t rows) {
    return {name, Shape{rows, kWidth}, Fill{.std = 0.5}};
  }
  Parameter table_[2] = {matrix("table.0", kVocab), matrix("table.1", kVocab)};
  Parameter weight_[5] = {matrix("weight.0", kWidth), matrix("weight.1", kWidth),
                          matrix("weight.2", kWidth), matrix("weight.3", kWidth),
                          matrix("weight.4", kWidth)};
  Parameter out_ = matrix("out", kVocab);
};

const BatchShape kShape{
    "", 1, {{"tokens", {kTokens}, DType::i32}, {"targets", {kTokens}, DType::i32}}};

Batch batch_of(std::int64_t micro, const Device& device) {
  const Batch batch = Batch::empty(kShape, device);
  const RandomKey key = random_key(1, "tokens", static_cast<std::uint64_t>(micro));
  for (std::size_t i = 0; i < kTokens; ++i) {
    batch["tokens"].host<std::int32_t>()[i] = static_cast<int>(random_bits(key, i) % kVocab);
    batch["targets"].host<std::int32_t>()[i] = static_cast<int>(random_bits(key, i + 99) % kVocab);
  }
  return batch;
}

// The losses of two steps, micro-batch by micro-batch, and then that of an evaluation.
std::vector<double> losses(const std::string& split, int stages, int ranks, ScheduleKind kind) {
  std::vector<double> all(2 * kMicros + 1, 0);
  std::mutex mutex;
  run_ranks(ranks, [&](World& world) {
    const Mesh mesh = Mesh::over(world.group(), {.pp = ranks});
    const Device device = Device::heap(/*poison=*/true);
    TwoEncoders model;
    std::vector<std::string> names;
    for (const Part& part : model.parts()) names.push_back(part.name);
    Pipeline pipeline(model,
                      lay_out(model, parse_split(split, names, stages), kind, ranks, kMicros),
                      {.compute = DType::f64, .reduce = Reduce::exact, .micros = kMicros},
                      RecomputePlan{}, mesh, device);
    OptimizerStep optimizer(pipeline.stores(), {}, mesh, device);
    for (const ParameterStore* store : pipeline.stores()) store->initialize(3);
    const Tensor of_step({kMicros}, DType::f64, device);
    for (int step = 0; step < 2; ++step) {
      std::int64_t next = 0;
      pipeline.run({.pass = {.training = true},
                    .shape = [](int) -> const BatchShape& { return kShape; },
                    .next_batch = [&] { return batch_of(next++, device); },
                    .losses = of_step});
      optimizer.run({.lr = 0.02, .step = step + 1}, kMicros * kTokens);
      const std::scoped_lock lock(mutex);
      if (pipeline.has_loss())
        for (int i = 0; i < kMicros; ++i)
          all[static_cast<std::size_t>(step * kMicros + i)] =
              of_step.host<double>()[static_cast<std::size_t>(i)];
    }
    const Tensor loss = pipeline.evaluate(kShape, [&] { return batch_of(kMicros, device); });
    const std::scoped_lock lock(mutex);
    if (pipeline.has_loss()) all.back() = loss.host<double>()[0];
  });
  return all;
}

TEST(BranchingPipeline, LearnsTheSameWhereverItsStagesLie) {
  using enum ScheduleKind;
  const std::vector<double> serial = losses("6", 1, 1, one_f_one_b);
  EXPECT_GT(serial[0], serial[kMicros]);
  EXPECT_EQ(losses("1,1,1,3", 4, 4, one_f_one_b), serial);
  EXPECT_EQ(losses("1,1,1,1,1,1", 6, 6, gpipe), serial);
  EXPECT_EQ(losses("1,1,1,3", 4, 2, interleaved), serial);
  EXPECT_EQ(losses("1,1,1,1,1,1", 6, 2, interleaved), serial);
  EXPECT_EQ(losses("1,1,1,3", 4, 2, zero_bubble_v), serial);
  EXPECT_EQ(losses("2,1,1,2", 4, 2, zero_bubble_v), serial);
  EXPECT_EQ(losses("2,1,3", 3, 3, zero_bubble), serial);
  EXPECT_EQ(losses("1,5", 2, 2, one_f_one_b), serial);
}

}  // namespace
}  // namespace fusor
