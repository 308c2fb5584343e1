#include "models/generate.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "parallel/parameter_store.h"
#include "runtime/memory_plan.h"
#include "runtime/trace.h"

namespace fusor {
namespace {

using Tokens = std::vector<std::int32_t>;

// How often each token comes in many draws, as a share of them.
std::map<std::int32_t, double> shares(const std::vector<double>& probabilities,
                                      const SamplingConfig& config) {
  std::vector<float> logits;
  for (const double p : probabilities) logits.push_back(static_cast<float>(std::log(p) + 3));
  constexpr int kDraws = 40000;
  std::map<std::int32_t, double> result;
  for (int i = 0; i < kDraws; ++i) result[sample_token(logits, config, i)] += 1.0 / kDraws;
  return result;
}

struct Case {
  const char* name;
  SamplingConfig config;
  std::vector<double> expected;  // of tokens with probabilities 1/8, 1/2, 1/8, 1/4
};

TEST(SampleToken, DrawsFromTheDistribution) {
  const std::vector<Case> cases{
      {"all", {}, {0.125, 0.5, 0.125, 0.25}},
      {"another seed", {.seed = 7}, {0.125, 0.5, 0.125, 0.25}},
      {"temperature 1/2 squares", {.temperature = 0.5}, {1 / 22., 16 / 22., 1 / 22., 4 / 22.}},
      {"temperature 2 takes roots", {.temperature = 2}, {0.184699, 0.369398, 0.184699, 0.261204}},
      {"top-k 2", {.top_k = 2}, {0, 2 / 3., 0, 1 / 3.}},
      {"top-k 3 takes the lower id of equals", {.top_k = 3}, {1 / 7., 4 / 7., 0, 2 / 7.}},
      {"top-k above the vocabulary", {.top_k = 99}, {0.125, 0.5, 0.125, 0.25}},
      {"top-p below the first", {.top_p = 0.49}, {0, 1, 0, 0}},
      {"top-p takes the one that reaches it", {.top_p = 0.51}, {0, 2 / 3., 0, 1 / 3.}},
      {"top-p of what top-k left", {.top_k = 2, .top_p = 0.66}, {0, 1, 0, 0}},
      {"top-p after temperature", {.temperature = 0.5, .top_p = 0.72}, {0, 1, 0, 0}},
  };
  for (const Case& c : cases) {
    const auto got = shares({0.125, 0.5, 0.125, 0.25}, c.config);
    for (std::int32_t id = 0; id < 4; ++id) {
      const double expected = c.expected[static_cast<std::size_t>(id)];
      const double share = got.contains(id) ? got.at(id) : 0;
      // Five standard deviations of a share of 40000 draws; none at all where it must not come.
      EXPECT_NEAR(share, expected, expected == 0 ? 0 : 0.0125) << c.name << ", token " << id;
    }
  }
}

TEST(SampleToken, GreedyTakesTheLargest) {
  const std::vector<float> logits{-1, 4, 4, 2};
  EXPECT_EQ(sample_token(logits, {.temperature = 0, .top_k = 2, .top_p = 0.5}, 3), 1);
}

TEST(SampleToken, IsAFunctionOfSeedAndPosition) {
  const std::vector<float> logits(1000, 0.f);
  const std::int32_t token = sample_token(logits, {.seed = 5}, 17);
  EXPECT_EQ(sample_token(logits, {.seed = 5}, 17), token);
  EXPECT_NE(sample_token(logits, {.seed = 6}, 17), token);
  EXPECT_NE(sample_token(logits, {.seed = 5}, 18), token);
}

TEST(SampleToken, RefusesWhatMakesNoSense) {
  const std::vector<float> logits{1, 2};
  for (const SamplingConfig& config :
       {SamplingConfig{.temperature = -1}, SamplingConfig{.temperature = NAN},
        SamplingConfig{.top_k = -1}, SamplingConfig{.top_p = 0}, SamplingConfig{.top_p = 1.5}})
    EXPECT_THROW(sample_token(logits, config, 0), Error);
  const std::vector<float> broken{1, NAN};
  EXPECT_THROW(sample_token(broken, {.temperature = 0}, 0), Error);
}

// A model with random weights, wide enough apart that no two tokens are nearly as probable.
struct RandomModel {
  RandomModel(const std::string& preset, DType dtype, const Device& device = Device())
      : gpt([&] {
          GptConfig config = gpt_preset(preset);
          config.seq_len = 16;
          config.init_std = 0.5;
          config.capacity_factor = 0;  // texts are made without limit
          return resolve(config);
        }()),
        weights(ParameterStore::frozen(parameters_of(gpt), dtype, device)) {
    weights.initialize(3);
  }

  Gpt gpt;
  ParameterStore weights;
};

Tokens generate(Generator& generator, const Tokens& prompt, std::int64_t count,
                const SamplingConfig& config) {
  Tokens text;
  generator.generate(prompt, count, config, [&](std::int32_t token) { text.push_back(token); });
  return text;
}

// The most probable successor of `context` with all of it computed anew.
std::int32_t greedy_successor(const Gpt& gpt, const Tokens& context) {
  const Tensor input({std::ssize(context)}, DType::i32);
  std::ranges::copy(context, input.host<std::int32_t>().begin());
  const Tensor logits = gpt.logits(input, 1, {}).value();
  const auto last = logits.rows(logits.dim(0) - 1, logits.dim(0)).host<double>();
  return static_cast<std::int32_t>(std::ranges::max_element(last) - last.begin());
}

class Generate : public ::testing::TestWithParam<const char*> {};

TEST_P(Generate, TheCacheGivesWhatComputingAllAnewGives) {
  const RandomModel model(GetParam(), DType::f64);
  Generator generator(model.gpt, 16, DType::f64, Device());
  const Tokens prompt{10, 200, 31, 7};
  const Tokens text = generate(generator, prompt, 13, {.temperature = 0});
  Tokens context = prompt;
  for (int i = 0; i < 13; ++i) context.push_back(greedy_successor(model.gpt, context));
  EXPECT_EQ(text, Tokens(context.begin() + 4, context.end()));
  EXPECT_GT(std::set<std::int32_t>(text.begin(), text.end()).size(), 4u) << "a dull test";
}

TEST_P(Generate, AFullWindowGoesOnFromItsNewerHalf) {
  const RandomModel model(GetParam(), DType::f64);
  Generator generator(model.gpt, 8, DType::f64, Device());
  const Tokens prompt{1, 2, 3, 4, 5, 6, 7, 8, 9, 10};  // the first two are not read
  const Tokens text = generate(generator, prompt, 12, {.temperature = 0});
  Tokens expected, context(prompt.begin() + 2, prompt.end());
  for (int i = 0; i < 12; ++i) {
    if (context.size() == 9) context.erase(context.begin(), context.begin() + 5);
    expected.push_back(greedy_successor(model.gpt, context));
    context.push_back(expected.back());
  }
  EXPECT_EQ(text, expected);
}

TEST_P(Generate, AnArenaGivesTheSameText) {
  const Tokens prompt{65, 66, 67};
  const SamplingConfig config{.temperature = 0.9, .top_k = 50, .seed = 11};
  for (const DType dtype : {DType::f32, DType::bf16, DType::f16}) {
    const RandomModel on_heap(GetParam(), dtype);
    Generator heap(on_heap.gpt, 8, dtype, Device());
    const Tokens text = generate(heap, prompt, 30, config);
    EXPECT_EQ(generate(heap, prompt, 30, config), text) << "a second text of the same seed";
    EXPECT_NE(generate(heap, prompt, 30, {.seed = 12}), text);

    Trace trace;
    {
      const Device meta = Device::meta(trace);
      const RandomModel rehearsed(GetParam(), dtype, meta);
      Generator(rehearsed.gpt, 8, dtype, meta).rehearse(std::ssize(prompt), 30);
    }
    const MemoryPlan plan = plan_memory(trace);
    const Device device = Device::arena(plan);
    const RandomModel in_arena(GetParam(), dtype, device);
    Generator arena(in_arena.gpt, 8, dtype, device);
    EXPECT_EQ(generate(arena, prompt, 30, config), text);
    EXPECT_EQ(device.high_water(), plan.bytes);
  }
}

TEST_P(Generate, RefusesWhatItCannotGoOnFrom) {
  const RandomModel model(GetParam(), DType::f32);
  Generator generator(model.gpt, 16, DType::f32, Device());
  EXPECT_THROW(generate(generator, {}, 1, {}), Error);
  EXPECT_THROW(generate(generator, {256}, 1, {}), Error);
  EXPECT_THROW(Generator(model.gpt, 17, DType::f32, Device()), Error);
  EXPECT_THROW(Generator(model.gpt, 0, DType::f32, Device()), Error);
  EXPECT_EQ(generate(generator, {1}, 0, {}), Tokens());
}

INSTANTIATE_TEST_SUITE_P(Shapes, Generate, ::testing::Values("gpt2-tiny", "llama-tiny", "moe-tiny"),
                         [](const auto& shape) {
                           std::string name = shape.param;
                           std::ranges::replace(name, '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace fusor
