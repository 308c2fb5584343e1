// Three encoders that join, each of which may have nothing to read in a micro-batch: no rank waits
// for a modality that is missing, and the run is the same wherever the encoders lie.
#include <gtest/gtest.h>

#include <algorithm>

#include "launch/layout_text.h"
#include "launch/planned_job.h"
#include "ops/add.h"
#include "ops/cross_entropy.h"
#include "ops/embedding.h"
#include "ops/linear.h"
#include "parallel/verifier.h"
#include "runtime/random.h"
#include "tests/layouts_of_task.h"

namespace fusor {
namespace {

using namespace layouts_of_task;

constexpr std::int64_t kTokens = 6, kWidth = 8, kVocab = 11;
constexpr int kModalities = 3, kJoin = 2 * kModalities;
constexpr unsigned kAll = (1U << kModalities) - 1;

std::string field_of(int modality) { return std::string(1, static_cast<char>('a' + modality)); }

BatchShape shape_with(unsigned modalities) {
  BatchShape shape{"", 1, {}};
  for (int m = 0; m < kModalities; ++m)
    if (modalities >> m & 1) {
      shape.name += field_of(m);
      shape.fields.push_back({field_of(m), {kTokens}, DType::i32});
    }
  shape.fields.push_back({"targets", {kTokens}, DType::i32});
  return shape;
}

// Parts: of each modality "embed" and "deep"; "join", the sum of what is there; "head".
class Towers final : public Model {
 public:
  std::vector<Part> parts() const override {
    std::vector<Part> parts;
    for (int m = 0; m < kModalities; ++m) {
      parts.push_back({field_of(m) + ".embed", {}, /*reads_batch=*/true});
      parts.push_back({field_of(m) + ".deep", {2 * m}});
    }
    parts.push_back({"join", {1, 3, 5}});
    parts.push_back({"head", {kJoin}, /*reads_batch=*/true});
    return parts;
  }
  bool idle(int part, const BatchShape& batch) const override {
    return part < kJoin && !batch.has(field_of(part / 2));
  }
  Shape output_shape(int part, const BatchShape&) const override {
    return part > kJoin ? Shape{1} : Shape{kTokens, kWidth};
  }
  Var run(int part, const std::vector<Var>& in, const Batch& batch,
          const Pass& pass) const override {
    const Parameter& w = weights_[static_cast<std::size_t>(part)];
    if (part > kJoin) return cross_entropy(linear(in[0], w), batch["targets"]);
    if (part == kJoin) return linear(sum_of(in), w);
    return part % 2 == 0 ? embedding(w, Var::input(batch[field_of(part / 2)], pass.tape))
                         : linear(in[0], w);
  }
  void visit(int part, const Visitor& f) override { f(weights_[static_cast<std::size_t>(part)]); }

 private:
  static Var sum_of(const std::vector<Var>& in) {
    Var sum;
    for (const Var& x : in)
      if (x.value().defined()) sum = sum.value().defined() ? add(sum, x) : x;
    return sum;
  }
  static Parameter matrix(int part, std::int64_t rows) {
    return {"weight." + std::to_string(part), Shape{rows, kWidth}, Fill{.std = 0.5}};
  }
  std::vector<Parameter> weights_{matrix(0, kVocab), matrix(1, kWidth), matrix(2, kVocab),
                                  matrix(3, kWidth), matrix(4, kVocab), matrix(5, kWidth),
                                  matrix(6, kWidth), matrix(7, kVocab)};
};

class TowersTask final : public Task {
 public:
  explicit TowersTask(std::uint64_t seed) : key_(random_key(seed, "modalities")) {}

  std::unique_ptr<Model> model(const Mesh&) const override { return std::make_unique<Towers>(); }
  Inputs inputs(const RunSize& size, const Mesh&) const override {
    Inputs inputs;
    for (unsigned modalities = 1; modalities <= kAll; ++modalities)
      inputs.shapes.push_back(shape_with(modalities));
    inputs.shape_of = [key = key_, micros = size.global_batch](std::int64_t step,
                                                               std::int64_t micro) {
      return static_cast<std::size_t>(
          random_bits(key, static_cast<std::uint64_t>(step * micros + micro)) % kAll);
    };
    return inputs;
  }
  // Tokens as functions of step, micro-batch and modality, and targets of a token of each.
  BatchSource training(const RunSize& size, const Mesh& mesh, std::int64_t first) const override {
    return [=, micro0 = first_micro(size, mesh), count = std::int64_t{0}](const Batch& to) mutable {
      const std::int64_t step = first + count / size.accumulation,
                         micro = micro0 + count % size.accumulation;
      ++count;
      const RandomKey key = random_key(9, "tokens", static_cast<std::uint64_t>(step));
      const auto targets = to["targets"].host<std::int32_t>();
      for (std::size_t i = 0; i < kTokens; ++i) {
        const auto word = random_bits(key, static_cast<std::uint64_t>(micro) << 8 | i) % kVocab;
        targets[i] = static_cast<std::int32_t>(word);
        for (int m = 0; m < kModalities; ++m)
          if (to.has(field_of(m)))
            to[field_of(m)].host<std::int32_t>()[i] =
                static_cast<std::int32_t>((word + static_cast<unsigned>(m)) % kVocab);
      }
      return kTokens;
    };
  }
  void open(const std::string&) override {}
  std::string fingerprint() const override { return ""; }
  HeldOut held_out(const std::string&, const RunSize&, const Mesh&) const override { return {}; }
  std::string describe(const Evaluation&) const override { return ""; }

 private:
  RandomKey key_;
};

Config recipe(std::int64_t steps) {
  Config c;
  c.train.global_batch = 8, c.train.micro_batch = 1, c.train.steps = steps;
  c.optimizer.lr = 0.02, c.optimizer.weight_decay = 0;
  return c;
}

TrialOutcome run(const std::string& layout, std::int64_t steps) {
  const Config config = config_of(recipe(steps), layout);
  return train(std::make_shared<TowersTask>(1), config, steps, Peak::at_most_planned);
}

class MissingModalities : public testing::TestWithParam<std::string> {};

TEST_P(MissingModalities, TheRunIsTheSameToTheBit) {
  constexpr std::int64_t kSteps = 12;
  expect_same_bits(run(GetParam(), kSteps), run("", kSteps));
}

// An encoder on each of three stages that join on a fourth, stages that hold parts of two, and all
// that copies may share of them.
INSTANTIATE_TEST_SUITE_P(, MissingModalities,
                         testing::Values("dp=2", "dp=4,zero=1", "dp=2,zero=3", "recompute=full",
                                         "pp=4,split=2,2,2,2", "pp=4,split=2,2,2,2,schedule=gpipe",
                                         "pp=4,split=2,2,2,2,schedule=zb_h1", "pp=3,split=3,2,3",
                                         "pp=2,stages=2,split=2,2,2,2,schedule=interleaved",
                                         "pp=2,split=3,5,recompute=full",
                                         "dp=2,pp=4,split=2,2,2,2,zero=3"));

TEST(MissingModalitiesOfManySteps, EightRanksNeverWaitForEver) {
  constexpr std::int64_t kSteps = 1000;
  const TrialOutcome one = run("", kSteps);
  EXPECT_LT(one.losses.back(), one.losses.front() / 4) << "it learns";
  expect_same_bits(run("dp=2,pp=4,split=2,2,2,2,zero=1", kSteps), one);
}

TEST(MissingModalitiesRehearsal, TheJobOfAllRanksIsVerified) {
  for (const std::string layout : {"pp=4,split=2,2,2,2", "dp=2,zero=3"}) {
    const Config config = config_of(recipe(4), layout);
    const RunSize size = run_size(config, ranks_of(config.parallel));
    const PlannedJob planned = plan_job(TowersTask(1), config, size, size.mesh.size());
    EXPECT_EQ(planned.fullest.steps, 7);
    EXPECT_NO_THROW(verify(planned.job)) << layout;
  }
}

// The memory of a step of one modality is less than that of all.
TEST(MissingModalitiesRehearsal, WhatIsIdleAsksForNothing) {
  const Config config = config_of(recipe(4), "");
  const Rehearsal r = rehearse(TowersTask(1), config, run_size(config, 1), 0);
  const auto slots = [&](const std::string& name) {
    const auto found = std::ranges::find(r.memory.programs, name, &MemoryPlan::Program::name);
    return found == r.memory.programs.end() ? std::size_t{0} : found->slots.size();
  };
  EXPECT_GT(slots("micro@a"), 0);
  EXPECT_LT(slots("micro@a"), slots("micro@ab"));
  EXPECT_LT(slots("micro@ab"), slots("micro@abc"));
}

}  // namespace
}  // namespace fusor
