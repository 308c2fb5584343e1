#include "tests/layouts_of_gpt.h"

#include <gtest/gtest.h>

#include <cmath>

#include "launch/layout_text.h"
#include "launch/rehearsal.h"
#include "launch/saver.h"
#include "launch/text_task.h"
#include "runtime/cuda_devices.h"
#include "tests/near.h"

namespace fusor::layouts_of_gpt {
namespace {

// 23 words divide by no number of ranks.
GptConfig model_of(Kind kind) {
  GptConfig c{.vocab_size = 23, .seq_len = 16, .layers = 4, .width = 16, .heads = 4};
  c.mlp_hidden = 24, c.dropout = 0.1, c.init_std = 0.1;
  if (kind == Kind::classic) return c;
  c.norm = Norm::rms_norm, c.activation = Activation::swiglu, c.positions = Positions::rotary;
  c.kv_heads = 2, c.bias = false, c.tied_embeddings = false;
  if (kind == Kind::sparse) c.experts = 4, c.capacity_factor = 1, c.mlp_hidden = 8;
  return c;
}

void expect_near(const std::vector<double>& got, const std::vector<double>& want, double within,
                 const char* what) {
  ASSERT_EQ(got.size(), want.size()) << what;
  for (std::size_t i = 0; i < want.size(); ++i)
    EXPECT_NEAR(got[i], want[i], within * std::abs(want[i])) << what << " of step " << i;
}

}  // namespace

Config config_of(Kind kind, DType dtype, const std::string& layout) {
  Config c;
  c.model = model_of(kind);
  c.parallel = parse_layout(layout, c.parallel);
  c.optimizer.eps = 1e-6;
  c.optimizer.lr = 3e-3, c.optimizer.warmup_steps = 2, c.optimizer.clip = 1;
  c.train.steps = kSteps, c.train.global_batch = 8, c.train.micro_batch = 1;
  c.train.dtype = dtype;
  return resolve(c);
}

Trial trial_of(const Config& config, std::int64_t first_step, std::int64_t steps) {
  const auto ranks = static_cast<int>(ranks_of(config.parallel));
  const auto planned = std::make_shared<std::vector<std::size_t>>(ranks);
  return {.config = config,
          .ranks = ranks,
          .first_step = first_step,
          .steps = steps,
          .task = std::make_shared<RandomTextTask>(config),
          .make_device =
              [=](const RunSize& size, int rank) {
                const MemoryPlan plan = rehearse(config, size, rank).memory;
                planned->at(static_cast<std::size_t>(rank)) = plan.bytes;
                if (config.train.device == TrainDevice::cuda)
                  return Device::cuda(cuda_device_of(rank), plan);
                return Device::arena(plan);
              },
          .end =
              [=](const Trainer& trainer, const World& world) {
                EXPECT_EQ(trainer.device().high_water(),
                          planned->at(static_cast<std::size_t>(world.rank())))
                    << "rank " << world.rank();
              }};
}

void save_after(std::int64_t steps, const Config& config, const std::string& folder) {
  Trial trial = trial_of(config, 0, steps);
  trial.end = [&](const Trainer& trainer, const World& world) {
    Saver saver(trainer.stores(), world, folder, {});
    saver.start(steps, nlohmann::json::object());
    const Saver::Outcome end = saver.finish();
    EXPECT_TRUE(end.saved) << end.text;
  };
  run_trial(trial);
}

TrialOutcome resume(const Config& config, const std::string& folder, std::int64_t first_step,
                    std::int64_t steps) {
  Trial trial = trial_of(config, first_step, steps);
  trial.begin = [&](const Trainer& trainer, const World& world) {
    Checkpoint checkpoint = open_shared(folder, world);
    read_checkpoint(checkpoint, trainer.stores());
    for (const ParameterStore* store : trainer.stores()) store->publish();
  };
  return run_trial(trial);
}

TrialOutcome after(std::int64_t steps, TrialOutcome whole) {
  whole.losses.erase(whole.losses.begin(), whole.losses.begin() + steps);
  whole.grad_norms.erase(whole.grad_norms.begin(), whole.grad_norms.begin() + steps);
  whole.gradients.clear();
  return whole;
}

void expect_same_bits(const TrialOutcome& got, const TrialOutcome& want) {
  EXPECT_TRUE(difference(got, want).same_bits) << difference(got, want).parameter;
  EXPECT_EQ(got.losses, want.losses);
  EXPECT_EQ(got.grad_norms, want.grad_norms);
  ASSERT_EQ(got.state.size(), want.state.size());
  for (const auto& [name, tensor] : want.state)
    EXPECT_EQ(doubles(got.state.at(name)), doubles(tensor)) << name;
}

void expect_near(const TrialOutcome& got, const TrialOutcome& want, double within) {
  EXPECT_LE(difference(got, want).gradient, within) << difference(got, want).parameter;
  expect_near(got.losses, want.losses, within, "loss");
  expect_near(got.grad_norms, want.grad_norms, within, "gradient norm");
  ASSERT_EQ(got.state.size(), want.state.size());
  // AdamW divides by a gradient's size: where its sum cancels, f32's rounding weighs more.
  const bool f32 = want.state.begin()->second.dtype() == DType::f32;
  for (const auto& [name, tensor] : want.state) {
    // Softmax takes no notice of a key's bias: its gradient is rounding alone.
    if (name.ends_with(".k.bias")) continue;
    EXPECT_LE(distance(got.state.at(name), tensor), f32 ? 10 * within : within) << name;
  }
}

}  // namespace fusor::layouts_of_gpt
