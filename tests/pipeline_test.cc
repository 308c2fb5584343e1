#include "models/pipeline.h"

#include <gtest/gtest.h>

#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "launch/rehearsal.h"
#include "launch/text_task.h"
#include "launch/trainer.h"
#include "models/gpt.h"
#include "runtime/random.h"
#include "runtime/world.h"

namespace fusor {
namespace {

constexpr std::int64_t kSteps = 4, kSeqLen = 8;

Config tiny(bool llama) {
  Config c;
  c.model = {.vocab_size = 23, .seq_len = kSeqLen, .layers = 4, .width = 16, .heads = 4};
  c.model.dropout = 0.1;
  if (llama) {
    c.model.norm = Norm::rms_norm, c.model.activation = Activation::swiglu;
    c.model.positions = Positions::rotary, c.model.kv_heads = 2, c.model.mlp_hidden = 24;
    c.model.tied_embeddings = false;
  }
  c.model = resolve(c.model);
  c.data.seq_len = kSeqLen;
  c.train.global_batch = 8, c.train.micro_batch = 1, c.train.steps = kSteps;
  c.parallel.reduce = Reduce::exact;
  return c;
}

// Tokens of a sample as a function of the step and the sample's number alone.
TextSource samples(std::int64_t step, std::int64_t first) {
  return
      [=, next = first](std::span<std::int32_t> tokens, std::span<std::int32_t> targets) mutable {
        const RandomKey key = random_key(5, "tokens", static_cast<std::uint64_t>(step));
        for (std::size_t i = 0; i < tokens.size(); ++i) {
          const auto at = static_cast<std::uint64_t>(next * kSeqLen) + i;
          tokens[i] = static_cast<std::int32_t>(random_bits(key, at) % 23);
          targets[i] = static_cast<std::int32_t>(random_bits(key, at + 1) % 23);
        }
        ++next;
      };
}

struct Outcome {
  std::vector<double> numbers;  // losses and gradient norms
  std::map<std::string, std::vector<double>> weights;
};

// Rehearses the layout, trains in the arena that was planned, and returns what rank 0 learns from
// all: losses and norms, and each rank's own weights by name.
Outcome train(const Config& config, int ranks) {
  Outcome outcome;
  std::mutex mutex;
  const RunSize size = run_size(config, ranks);
  run_ranks(ranks, [&](World& world) {
    const Rehearsal rehearsal = rehearse(config, size, world.rank());
    const Device device = Device::arena(rehearsal.memory);
    {
      const Mesh mesh = Mesh::over(world.group(), size.mesh, config.parallel.sequence);
      Trainer trainer(TextTask(config), config, size, mesh, device);
      trainer.initialize();
      for (std::int64_t step = 0; step < kSteps; ++step) {
        const TextSource next = samples(step, first_micro(size, mesh) * size.micro_batch);
        trainer.accumulate(step, text_batches(next, rows_of(size, mesh), config.model.vocab_size));
        const Trainer::Step result = trainer.update(step, {0, 0});
        if (world.rank() > 0) continue;
        outcome.numbers.push_back(result.loss);
        outcome.numbers.push_back(result.grad_norm);
      }
      const std::scoped_lock lock(mutex);
      for (const ParameterStore* store : trainer.stores())
        for (const auto& [box, tensor] : store->share_of_state(/*optimizer=*/true)) {
          auto& values = outcome.weights[box.name];
          const auto part = tensor.host<float>();
          values.insert(values.end(), part.begin(), part.end());
        }
    }
    EXPECT_EQ(device.high_water(), rehearsal.memory.bytes) << "rank " << world.rank();
  });
  return outcome;
}

struct Layout {
  std::string name;
  std::int64_t dp = 1, pp = 1, stages = 1;
  ScheduleKind schedule = ScheduleKind::one_f_one_b;
  Recompute recompute = Recompute::none;
  std::int64_t zero = 0, batch = 8;  // batch: micro-batches of a step on all ranks
  std::int64_t recompute_layers = 0;
};

class PipelineLayouts : public testing::TestWithParam<Layout> {};

TEST_P(PipelineLayouts, LearnTheSameToTheBit) {
  const Layout& layout = GetParam();
  for (const bool llama : {false, true}) {
    Config config = tiny(llama);
    config.train.global_batch = layout.batch;
    const Outcome serial = train(config, 1);
    auto& p = config.parallel;
    p.dp = layout.dp, p.pp = layout.pp, p.stages = layout.stages, p.schedule = layout.schedule;
    p.recompute = layout.recompute, p.recompute_layers = layout.recompute_layers,
    p.zero = layout.zero;
    const Outcome split = train(config, static_cast<int>(layout.dp * layout.pp));
    EXPECT_EQ(split.numbers, serial.numbers) << (llama ? "llama" : "gpt2");
    EXPECT_EQ(serial.weights.size(), split.weights.size());
    if (layout.dp > 1) continue;  // shares are in the order of the ranks
    for (const auto& [name, values] : serial.weights) {
      ASSERT_TRUE(split.weights.contains(name)) << name;
      EXPECT_EQ(split.weights.at(name), values) << name;
    }
  }
}

using enum ScheduleKind;
INSTANTIATE_TEST_SUITE_P(
    All, PipelineLayouts,
    testing::Values(
        Layout{.name = "gpipe", .pp = 2, .schedule = gpipe}, Layout{.name = "one_f_one_b", .pp = 2},
        Layout{.name = "deep", .pp = 4},
        Layout{.name = "interleaved", .pp = 2, .stages = 2, .schedule = interleaved},
        Layout{.name = "zb_h1", .pp = 3, .schedule = zero_bubble},
        Layout{.name = "zb_v", .pp = 2, .stages = 2, .schedule = zero_bubble_v},
        Layout{
            .name = "recompute_some", .pp = 2, .recompute = Recompute::full, .recompute_layers = 3},
        Layout{.name = "selective", .recompute = Recompute::selective},
        Layout{.name = "recompute", .recompute = Recompute::full},
        Layout{
            .name = "recompute_zb", .pp = 2, .schedule = zero_bubble, .recompute = Recompute::full},
        Layout{.name = "dp", .dp = 2, .pp = 2},
        Layout{.name = "dp_zb_v", .dp = 2, .pp = 2, .stages = 2, .schedule = zero_bubble_v},
        Layout{.name = "zero3", .dp = 2, .pp = 2, .zero = 3},
        Layout{.name = "zero3_recompute_zb",
               .dp = 2,
               .pp = 2,
               .schedule = zero_bubble,
               .recompute = Recompute::full,
               .zero = 3},
        Layout{.name = "one_micro", .pp = 3, .batch = 1},
        Layout{.name = "one_micro_zb", .dp = 2, .pp = 3, .schedule = zero_bubble, .batch = 2},
        Layout{.name = "fewer_micros_than_ranks",
               .pp = 2,
               .stages = 3,
               .schedule = interleaved,
               .batch = 3},
        Layout{.name = "fewer_micros_zb_v",
               .dp = 3,
               .pp = 2,
               .stages = 2,
               .schedule = zero_bubble_v,
               .zero = 3,
               .batch = 6},
        Layout{.name = "one_micro_of_each",
               .dp = 3,
               .pp = 2,
               .stages = 2,
               .schedule = interleaved,
               .recompute = Recompute::selective,
               .zero = 2,
               .batch = 3},
        Layout{.name = "zero2", .dp = 2, .pp = 2, .zero = 2},
        Layout{.name = "zero1", .dp = 2, .pp = 2, .zero = 1}),
    [](const auto& info) { return info.param.name; });

std::size_t planned_bytes(Config config, Recompute recompute, std::int64_t layers = 0) {
  config.parallel.recompute = recompute, config.parallel.recompute_layers = layers;
  return rehearse(config, run_size(config, 1), 0).memory.bytes;
}

TEST(Pipeline, RecomputingTakesLessMemory) {
  Config config = tiny(false);
  config.train.micro_batch = 8;
  const std::size_t none = planned_bytes(config, Recompute::none),
                    selective = planned_bytes(config, Recompute::selective),
                    full = planned_bytes(config, Recompute::full);
  EXPECT_LT(selective, none);
  EXPECT_LT(full, selective);
  for (const Recompute kind : {Recompute::selective, Recompute::full}) {
    const std::size_t half = planned_bytes(config, kind, 2);
    EXPECT_LT(half, none);
    EXPECT_GT(half, planned_bytes(config, kind));
    EXPECT_EQ(planned_bytes(config, kind, 4), planned_bytes(config, kind));
  }
}

}  // namespace
}  // namespace fusor
