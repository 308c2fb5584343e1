// Gradient norms and AdamW on a GPU against the CPU: many arrays, odd sizes, slices that begin
// anywhere.
#include <gmock/gmock.h>

#include <cmath>

#include "ops/adamw.h"
#include "ops/blocks.h"
#include "ops/grad_norm.h"
#include "ops/loss_scale.h"
#include "runtime/copy.h"
#include "tests/cuda_gpu.h"
#include "tests/near.h"

namespace fusor::ops {
namespace {

using testing::Each;

constexpr DType kDTypes[] = {DType::f64, DType::f32, DType::bf16, DType::f16};

class CudaOptimizer : public OnCuda {
 protected:
  void SetUp() override {
    OnCuda::SetUp();
    if (!IsSkipped()) gpu = Device::cuda(0, /*poison=*/true);
  }
  // A copy on the GPU that begins `offset` elements after a boundary.
  Tensor on_gpu(const Tensor& t, std::int64_t offset = 0) const {
    const Tensor all({t.size() + offset}, t.dtype(), gpu), to = all.slice(offset, t.shape());
    copy(t, to);
    synchronize(gpu);
    return to;
  }
  Device gpu;
};

std::vector<std::int64_t> many_sizes() {
  std::vector<std::int64_t> sizes{1, 63, 64, 65, 0, 2 * Blocks::kBlock + 45, Blocks::kBlock, 130};
  for (std::int64_t i = 0; i < 300; ++i) sizes.push_back(i % 7 * 31);
  return sizes;
}

// Gradients of magnitudes that differ between tensors, and in some from term to term of a sum.
Tensor gradient(std::int64_t size, DType dtype, std::size_t i) {
  const Tensor t({size}, dtype);
  const std::vector<double> values = doubles(noise({size}, DType::f32, i));
  const std::size_t apart = i % 3 == 2 ? 10 : 0;
  fill(t, [&](std::size_t e) {
    const std::size_t exponent = i * 7 % 60 + e / 64 * 13 % 7 * apart;
    return std::ldexp(values[e], static_cast<int>(exponent) - 30);
  });
  return t;
}

std::vector<std::int64_t> sum_of(std::span<const Tensor> tensors, const Device& device) {
  const Tensor sum({ExactSum::kLimbs}, DType::i64, device);
  sum_squares(tensors, sum);
  const Tensor there = on_host(sum);
  const std::span<std::int64_t> limbs = there.host<std::int64_t>();
  ExactSum::carry(limbs.data());
  return {limbs.begin(), limbs.end()};
}

TEST_F(CudaOptimizer, SumsSquaresToTheSameBits) {
  for (const DType dtype : kDTypes)
    for (const std::int64_t offset : {0, 1}) {
      std::vector<Tensor> here, there;
      for (const std::int64_t size : many_sizes()) {
        here.push_back(gradient(size, dtype, here.size()));
        there.push_back(on_gpu(here.back(), offset));
      }
      EXPECT_EQ(sum_of(there, gpu), sum_of(here, Device())) << dtype << " from " << offset;
    }
}

TEST_F(CudaOptimizer, SumOfNothingIsZero) { EXPECT_THAT(sum_of({}, gpu), Each(0)); }

TEST_F(CudaOptimizer, SumTellsOfWhatIsNotANumber) {
  const Tensor t = noise({200}, DType::f32, 1);
  set(t, 77, NAN);
  set(t, 150, INFINITY);
  EXPECT_EQ(sum_of(std::vector{on_gpu(t)}, gpu).back(), 2);
}

TEST_F(CudaOptimizer, ClipsAsTheCpu) {
  for (const double max_norm : {0.0, 1.0, 1e9}) {
    const auto clipped = [&](const Device& device, const Tensor& gradients, const Tensor& count) {
      const Tensor sum({ExactSum::kLimbs}, DType::i64, device);
      const Tensor scale({1}, DType::f64, device), norm({1}, DType::f64, device);
      sum_squares(std::vector{gradients}, sum);
      clip_scale(sum, count, max_norm, scale, norm);
      const Tensor scaled({1}, DType::f64, device);
      clip_scale(sum, count, max_norm, scaled, norm, /*loss_scale=*/count);
      return std::vector{at(on_host(scale), 0), at(on_host(scaled), 0), at(on_host(norm), 0)};
    };
    const Tensor gradients = gradient(1000, DType::f32, 5), count = noise({1}, DType::f64, 3);
    set(count, 0, 0.125);
    EXPECT_EQ(clipped(gpu, on_gpu(gradients), on_gpu(count)), clipped(Device(), gradients, count));
  }
}

TEST_F(CudaOptimizer, AdaptsTheScaleOfLossesAsTheCpu) {
  const auto adapted = [](const Device& device) {
    const Tensor state({kLossScaleState}, DType::f64, device), norm({1}, DType::f64, device);
    fill(state, [](std::size_t i) { return i == 0 ? 64 : 0; });
    std::vector<double> scales;
    for (const double n : {1.0, 1.0, double{NAN}, 2.0, 1.0, 1.0}) {
      fill(norm, [=](std::size_t) { return n; });
      adapt_loss_scale(norm, state, 2);
      scales.push_back(at(on_host(state), 0));
    }
    return scales;
  };
  EXPECT_EQ(adapted(gpu), adapted(Device()));
}

// A weight whose arrays lie on the CPU, and what AdamW makes of it.
struct Weight {
  AdamWTensor here, there;
};

class CudaAdamW : public CudaOptimizer {
 protected:
  Weight weight(std::int64_t size, DType dtype, std::uint64_t seed, std::int64_t offset) const {
    const DType acc = acc_dtype(dtype);
    Weight w;
    w.here.weight = cast(noise({size}, DType::bf16, seed), dtype);
    w.here.master = dtype == acc ? w.here.weight : cast(w.here.weight, acc);
    w.here.m = cast(noise({size}, DType::f32, seed + 1), acc);
    w.here.v = cast(noise({size}, DType::f32, seed + 2), acc);
    fill(w.here.v, [v = doubles(w.here.v)](std::size_t i) { return v[i] * v[i]; });
    w.here.grad = cast(noise({size}, DType::f32, seed + 3), acc);
    w.here.decay = 0.1 * static_cast<double>(seed % 3);
    w.there = w.here;
    w.there.weight = on_gpu(w.here.weight, offset);
    w.there.master = dtype == acc ? w.there.weight : on_gpu(w.here.master, offset);
    for (Tensor AdamWTensor::*state : {&AdamWTensor::m, &AdamWTensor::v, &AdamWTensor::grad})
      w.there.*state = on_gpu(w.here.*state, offset);
    return w;
  }
};

TEST_F(CudaAdamW, UpdatesEveryElementAsTheCpu) {
  const Tensor scale = noise({1}, DType::f64, 3), rates({kAdamWRates}, DType::f64);
  const auto numbers = adamw_rates({}, 0.02, 3);
  fill(rates, [&](std::size_t i) { return numbers[i]; });
  for (const DType dtype : kDTypes)
    for (const std::int64_t offset : {0, 1}) {
      std::vector<Weight> weights;
      std::vector<AdamWTensor> here, there;
      for (const std::int64_t size : many_sizes()) {
        weights.push_back(weight(size, dtype, weights.size(), offset));
        here.push_back(weights.back().here);
        there.push_back(weights.back().there);
      }
      adamw(here, {}, rates, scale);
      adamw(there, {}, on_gpu(rates), on_gpu(scale));
      const double most = dtype == DType::f64 ? 1e-14 : 1e-6;
      for (const auto& [cpu, cuda] : weights) {
        EXPECT_LE(distance(on_host(cuda.master), cpu.master), most);
        EXPECT_LE(distance(on_host(cuda.m), cpu.m), most);
        EXPECT_LE(distance(on_host(cuda.v), cpu.v), most);
        EXPECT_EQ(doubles(on_host(cuda.weight)), doubles(cast(on_host(cuda.master), dtype)));
      }
    }
}

}  // namespace
}  // namespace fusor::ops
