#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "launch/text_task.h"
#include "launch/trainer.h"
#include "models/gpt.h"
#include "runtime/device.h"
#include "runtime/world.h"
#include "tests/golden.h"
#include "tests/near.h"

// The same weights, tokens and optimizer as tests/golden/make_gpt.py gives PyTorch: losses and
// norms of 20 AdamW steps, and every gradient of the first.
namespace fusor {
namespace {

constexpr double kTolerance = 1e-5;  // relative, f32 against f32 of other kernels

Config config_of(const std::string& shape, std::int64_t micro_batch, std::int64_t accumulation,
                 Reduce reduce) {
  Config c;
  c.model = {.vocab_size = 96, .seq_len = 16, .layers = 2, .width = 32, .heads = 4};
  if (shape == "llama") {
    c.model.kv_heads = 2, c.model.mlp_hidden = 88;
    c.model.norm = Norm::rms_norm, c.model.activation = Activation::swiglu;
    c.model.positions = Positions::rotary;
    c.model.bias = c.model.tied_embeddings = false;
  }
  c.optimizer = {.lr = 1e-3,
                 .min_lr = 0,
                 .schedule = Decay::constant,
                 .warmup_steps = 0,
                 .beta1 = 0.9,
                 .beta2 = 0.95,
                 .eps = 1e-8,
                 .weight_decay = 0.1,
                 .clip = 1};
  c.train.steps = 20;
  c.train.micro_batch = micro_batch, c.train.accumulation = accumulation;
  c.parallel.reduce = reduce;
  return resolve(c);
}

// The golden batches of a rank, one micro-batch a call.
class Batches {
 public:
  Batches(const Golden& golden, const RunSize& size, std::int64_t rank)
      : size_(size),
        rank_(rank),
        tokens_(golden.read<std::int32_t>("tokens")),
        targets_(golden.read<std::int32_t>("targets")) {}

  void next(std::span<std::int32_t> tokens, std::span<std::int32_t> targets) {
    const std::int64_t t = size_.seq_len, b = size_.micro_batch;
    const std::int64_t step = micro_ / size_.accumulation, i = micro_++ % size_.accumulation;
    const std::int64_t first = step * size_.global_batch + (rank_ * size_.accumulation + i) * b;
    for (std::int64_t s = 0; s < b; ++s)
      std::copy_n(tokens_.begin() + (first + s) * (t + 1), t, tokens.begin() + s * t);
    std::copy_n(targets_.begin() + first * t, b * t, targets.begin());
  }

 private:
  RunSize size_;
  std::int64_t rank_, micro_ = 0;
  std::vector<std::int32_t> tokens_, targets_;
};

void load_weights(const Golden& golden, const ParameterStore& parameters) {
  for (const auto& [box, tensor] : parameters.state(false)) {
    const auto values = golden.read<float>(box.name.substr(std::string("weights/").size()));
    ASSERT_EQ(static_cast<std::int64_t>(values.size()), tensor.size()) << box.name;
    std::ranges::copy(values, tensor.host<float>().begin());
  }
}

void expect_near(double actual, double expected, double scale, const std::string& what) {
  EXPECT_LE(std::abs(actual - expected), kTolerance * scale)
      << what << ": " << actual << " but PyTorch " << expected;
}

// A gradient that is zero but for rounding (of attn.k.bias: softmax ignores what is added to a
// whole row) is held to the scale of the others.
void expect_gradients(const Golden& golden, const ParameterStore& parameters, double targets) {
  const double floor = 1e-2 * golden.read<float>("grad_norms")[0];
  for (const auto& [box, tensor] : parameters.gradients()) {
    const std::string name = box.name.substr(std::string("gradients/").size());
    const auto expected = golden.read<float>("grad." + name);
    const auto actual = tensor.host<float>();
    double worst = 0, largest = 0;
    for (std::size_t i = 0; i < expected.size(); ++i) {
      worst = std::max(worst, std::abs(actual[i] / targets - expected[i]));
      largest = std::max(largest, std::abs(static_cast<double>(expected[i])));
    }
    EXPECT_LE(worst, kTolerance * std::max(largest, floor)) << name;
  }
}

struct Layout {
  std::string shape;
  int ranks;
  std::int64_t micro_batch, accumulation;
  Reduce reduce;
};

class Parity : public testing::TestWithParam<Layout> {};

TEST_P(Parity, LossesAndGradientsArePyTorchs) {
  const Layout& layout = GetParam();
  const Golden golden(layout.shape);
  const Config config =
      config_of(layout.shape, layout.micro_batch, layout.accumulation, layout.reduce);
  run_ranks(layout.ranks, [&](World& world) {
    const RunSize size = run_size(config, world.size());
    Trainer trainer(TextTask(config), config, size, Mesh::over(world.group(), {.dp = world.size()}),
                    Device::heap(true));
    trainer.initialize();
    load_weights(golden, *trainer.stores().at(0));
    Batches batches(golden, size, world.rank());
    const TextSource next = [&](auto tokens, auto targets) { batches.next(tokens, targets); };
    const BatchSource source =
        text_batches(next, RowMap::whole(0, size.seq_len), config.model.vocab_size);
    const auto losses = golden.read<float>("losses"), norms = golden.read<float>("grad_norms");
    for (std::int64_t step = 0; step < config.train.steps; ++step) {
      trainer.accumulate(step, source);
      const Trainer::Step result = trainer.update(step, {});
      const auto at = static_cast<std::size_t>(step);
      expect_near(result.loss, losses[at], losses[at], "loss of step " + std::to_string(step));
      expect_near(result.grad_norm, norms[at], norms[at], "norm of step " + std::to_string(step));
      if (step == 0)
        expect_gradients(golden, *trainer.stores().at(0), static_cast<double>(result.targets));
    }
  });
}

INSTANTIATE_TEST_SUITE_P(
    , Parity,
    testing::Values(Layout{"gpt2", 1, 4, 1, Reduce::fast}, Layout{"llama", 1, 4, 1, Reduce::fast},
                    Layout{"gpt2", 1, 1, 4, Reduce::exact}, Layout{"llama", 2, 1, 2, Reduce::fast},
                    Layout{"gpt2", 2, 2, 1, Reduce::exact},
                    Layout{"llama", 4, 1, 1, Reduce::exact}),
    [](const auto& test) {
      const Layout& l = test.param;
      return l.shape + "_" + std::to_string(l.ranks) + "x" + std::to_string(l.accumulation) + "x" +
             std::to_string(l.micro_batch) + (l.reduce == Reduce::exact ? "_exact" : "_fast");
    });

}  // namespace
}  // namespace fusor
