#include "ops/adamw.h"

#include <gmock/gmock.h>
#include <omp.h>

#include <cmath>

#include "ops/blocks.h"
#include "tests/near.h"

namespace fusor::ops {
namespace {

using testing::DoubleNear;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pointwise;

Tensor scalar(double value) {
  const Tensor t({1}, DType::f64);
  set(t, 0, value);
  return t;
}

Tensor rates(const AdamW& settings, double lr, std::int64_t step) {
  const Tensor t({kAdamWRates}, DType::f64);
  std::ranges::copy(adamw_rates(settings, lr, step), t.host<double>().begin());
  return t;
}

AdamWTensor zero_state(const Tensor& weight, const Tensor& grad, double decay) {
  const Tensor m = cast(weight, acc_dtype(weight.dtype())), v = empty_like(m);
  const Tensor master = weight.dtype() == m.dtype() ? weight : cast(weight, m.dtype());
  for (const Tensor& t : {m, v}) fill(t, [](std::size_t) { return 0.0; });
  return {weight, master, m, v, grad, decay};
}

// Three weights of which one spans several blocks, after three steps.
std::vector<AdamWTensor> trained(DType dtype) {
  const AdamW settings{.beta1 = 0.8, .beta2 = 0.9, .eps = 1e-6};
  std::vector<AdamWTensor> tensors;
  for (const Shape& shape : {Shape{3, 7}, Shape{2 * Blocks::kBlock + 5}, Shape{1}}) {
    const auto seed = tensors.size();
    const Tensor weight = cast(noise(shape, DType::bf16, seed), dtype);
    tensors.push_back(zero_state(weight, noise(shape, acc_dtype(dtype), seed + 10),
                                 0.1 * static_cast<double>(seed)));
  }
  for (std::int64_t step = 1; step <= 3; ++step)
    adamw(tensors, settings, rates(settings, 0.02, step), scalar(0.25));
  return tensors;
}

// The values torch.optim.AdamW gives: its formulas in Python floats.
TEST(AdamW, KnownValues) {
  const Tensor weight({3}, DType::f64), grad({3}, DType::f64);
  const double weights[] = {1, -2, 0.5};
  fill(weight, [&](std::size_t i) { return weights[i]; });
  const std::vector<AdamWTensor> tensors{zero_state(weight, grad, 0.1)};
  const double grads[3][3] = {{0.5, -0.25, 1e-9}, {-1, 0.75, 0}, {0.125, 3, -2e-9}};
  const double wants[3][3] = {{0.890000002, -1.8800000039999998, 0.4859090909090909},
                              {0.9177103542205653, -1.9106189864058514, 0.47662591003939714},
                              {0.9295555791381563, -1.963016995480466, 0.47574858491998856}};
  for (std::size_t s = 0; s < 3; ++s) {
    fill(grad, [&](std::size_t i) { return 4 * grads[s][i]; });
    const AdamW settings{.beta2 = 0.999, .eps = 1e-8};
    adamw(tensors, settings, rates(settings, 0.1, static_cast<std::int64_t>(s) + 1), scalar(0.25));
    EXPECT_THAT(doubles(weight), Pointwise(DoubleNear(1e-14), wants[s]));
  }
}

TEST(AdamW, EveryElementOfEveryWeightAgreesAcrossDtypes) {
  const auto f64 = trained(DType::f64), f32 = trained(DType::f32), bf16 = trained(DType::bf16);
  for (std::size_t i = 0; i < f64.size(); ++i) {
    EXPECT_LT(distance(f32[i].weight, f64[i].weight), 1e-6);
    EXPECT_LT(distance(f32[i].v, f64[i].v), 1e-6);
    EXPECT_LT(distance(bf16[i].master, f64[i].master), 1e-6);
    EXPECT_EQ(doubles(bf16[i].weight), doubles(cast(bf16[i].master, DType::bf16)));
  }
}

TEST(AdamW, ElementsOfAWeightDoNotDependOnTheOthers) {
  const AdamWTensor all = trained(DType::f32)[1];
  const Tensor weight = cast(noise(all.weight.shape(), DType::bf16, 1), DType::f32);
  const std::int64_t last = weight.size() - 1;
  const Tensor grad = noise(weight.shape(), DType::f32, 11);
  const std::vector<AdamWTensor> one{
      zero_state(weight.slice(last, {1}), grad.slice(last, {1}), 0.1)};
  const AdamW settings{.beta1 = 0.8, .beta2 = 0.9, .eps = 1e-6};
  for (const std::int64_t step : {1, 2, 3})
    adamw(one, settings, rates(settings, 0.02, step), scalar(0.25));
  EXPECT_NEAR(at(weight, last), at(all.weight, last), 1e-6);
}

TEST(AdamW, AGradScaleOfZeroLeavesAllAsItIs) {
  const Tensor weight = noise({100}, DType::f32, 1), grad = noise({100}, DType::f32, 2);
  set(grad, 7, INFINITY);
  const std::vector<AdamWTensor> one{zero_state(weight, grad, 0.1)};
  const std::vector<double> before = doubles(weight);
  adamw(one, {}, rates({}, 0.02, 1), scalar(0));
  EXPECT_EQ(doubles(weight), before);
  EXPECT_THAT(doubles(one[0].m), testing::Each(0));
  EXPECT_THAT(doubles(one[0].v), testing::Each(0));
}

TEST(AdamW, ThreadsChangeNoBit) {
  const int before = omp_get_max_threads();
  std::vector<std::vector<AdamWTensor>> runs;
  for (const int threads : {1, 2, 3}) {
    omp_set_num_threads(threads);
    runs.push_back(trained(DType::f32));
  }
  omp_set_num_threads(before);
  for (std::size_t i = 0; i < runs[0].size(); ++i)
    for (const auto& run : runs) EXPECT_EQ(doubles(run[i].weight), doubles(runs[0][i].weight));
}

TEST(AdamW, RefusesStateOfAnotherSize) {
  const Tensor weight({3}, DType::f32);
  AdamWTensor t = zero_state(weight, Tensor({3}, DType::f32), 0);
  t.v = Tensor({2}, DType::f32);
  EXPECT_THAT([&] { adamw(std::vector{t}, {}, rates({}, 0.1, 1), scalar(1)); },
              testing::ThrowsMessage<Error>(HasSubstr("adamw: weight 0 [3] f32 with state or "
                                                      "gradient [2] f32")));
}

}  // namespace
}  // namespace fusor::ops
