#include <cmath>

#include "ops/cuda.h"
#include "ops/top_k_router_kernels.h"

// A warp takes a row; its lanes every 32nd expert.
namespace fusor::ops::kernels {
namespace {

using cuda::kAllLanes;
using cuda::kWarp;
using cuda::warp_max;
using cuda::warp_sum;

constexpr int kWarps = 8;  // of a block

__device__ std::int64_t row_of_warp() { return cuda::first_round() / kWarp; }
__device__ int lane_of() { return static_cast<int>(threadIdx.x) % kWarp; }

template <class A>
struct Candidate {
  A logit;
  std::int32_t expert;  // -1: none

  // Of equals the lower index. What is not a number is worse than what is.
  __device__ bool loses_to(const Candidate& other) const {
    if (expert < 0 || other.expert < 0) return expert < 0;
    const bool number = logit == logit, other_number = other.logit == other.logit;
    if (number != other_number) return other_number;
    return other.logit > logit || (!(logit > other.logit) && other.expert < expert);
  }
};

// The best of all lanes' candidates, in every lane.
template <class A>
__device__ Candidate<A> best_of_warp(Candidate<A> mine) {
#pragma unroll
  for (int offset = kWarp / 2; offset > 0; offset /= 2) {
    const Candidate<A> other{__shfl_xor_sync(kAllLanes, mine.logit, offset),
                             __shfl_xor_sync(kAllLanes, mine.expert, offset)};
    if (mine.loses_to(other)) mine = other;
  }
  return mine;
}

template <class A>
__global__ void top_k_kernel(std::int64_t rows, std::int64_t experts, std::int64_t k,
                             const A* logits, std::int32_t* choices) {
  const std::int64_t r = row_of_warp();
  if (r >= rows) return;  // a whole warp
  const A* row = logits + r * experts;
  std::int32_t* chosen = choices + r * k;
  const auto is_taken = [=](std::int32_t e, std::int64_t taken) {
    for (std::int64_t j = 0; j < taken; ++j)
      if (chosen[j] == e) return true;
    return false;
  };
  for (std::int64_t j = 0; j < k; ++j) {
    Candidate<A> best{A(0), -1};
    for (std::int32_t e = lane_of(); e < experts; e += kWarp) {
      const Candidate<A> next{row[e], e};
      if (!is_taken(e, j) && best.loses_to(next)) best = next;
    }
    best = best_of_warp(best);
    if (lane_of() == 0) chosen[j] = best.expert;
    __syncwarp();  // all lanes see the choice
  }
}

// The softmax of logit(0), ..., logit(n - 1).
template <class A, class Logit>
struct Softmax {
  Logit logit;
  A max, scale;

  __device__ Softmax(std::int64_t n, Logit logit_) : logit(logit_) {
    A top = -std::numeric_limits<A>::infinity(), sum = 0;
    for (std::int64_t i = lane_of(); i < n; i += kWarp) top = cuda::Max()(top, logit(i));
    max = warp_max(top);
    for (std::int64_t i = lane_of(); i < n; i += kWarp) sum += std::exp(logit(i) - max);
    scale = 1 / warp_sum(sum);
  }
  __device__ A operator()(std::int64_t i) const { return std::exp(logit(i) - max) * scale; }
};

// Its gradient is p(i) (dp(i) - mean) with this mean.
template <class P, class Dp>
__device__ auto mean_of(std::int64_t n, const P& p, const Dp& dp) {
  decltype(p(0)) sum = 0;
  for (std::int64_t i = lane_of(); i < n; i += kWarp) sum += p(i) * dp(i);
  return warp_sum(sum);
}

template <class A>
__device__ auto softmax_of(std::int64_t n, const A* logits) {
  const auto logit = [=](std::int64_t i) { return logits[i]; };
  return Softmax<A, decltype(logit)>(n, logit);
}
template <class A>
__device__ auto softmax_of(std::int64_t n, const A* logits, const std::int32_t* choices) {
  const auto logit = [=](std::int64_t i) { return logits[choices[i]]; };
  return Softmax<A, decltype(logit)>(n, logit);
}

template <class A>
__global__ void weights_kernel(std::int64_t rows, std::int64_t experts, std::int64_t k,
                               const A* logits, const std::int32_t* choices, A* weights) {
  const std::int64_t r = row_of_warp();
  if (r >= rows) return;  // a whole warp
  const A* row = logits + r * experts;
  const std::int32_t* chosen = choices + r * k;
  if (k == 1) {
    const auto p = softmax_of(experts, row);
    if (lane_of() == 0) weights[r] = p(chosen[0]);
  } else {
    const auto p = softmax_of(k, row, chosen);
    for (std::int64_t j = lane_of(); j < k; j += kWarp) weights[r * k + j] = p(j);
  }
}

// The balance loss's gradient of expert e's probability is that times counts[e].
template <class A>
__device__ A pull_of(std::int64_t experts, const Pull& of) {
  if (of.counts == nullptr) return 0;
  std::int64_t all = 0;
  for (std::int64_t e = lane_of(); e < experts; e += kWarp) all += of.counts[e];
  all = warp_sum(all);
  const double size =
      all > 0 ? of.coefficient * static_cast<double>(experts) / static_cast<double>(all) : 0;
  return static_cast<A>(of.loss_scale ? size * *of.loss_scale : size);
}

template <class A>
__global__ void weights_backward_kernel(std::int64_t rows, std::int64_t experts, std::int64_t k,
                                        const A* dweights, const A* logits,
                                        const std::int32_t* choices, Pull of, A* dlogits,
                                        bool add) {
  const std::int64_t r = row_of_warp();
  if (r >= rows) return;  // a whole warp
  const A *row = logits + r * experts, *dw = dweights + r * k;
  const std::int32_t* chosen = choices + r * k;
  const A pull = pull_of<A>(experts, of);
  // The gradient of all probabilities: the pull, and with k = 1 that of the one weight.
  const auto dp = [=](std::int64_t e) {
    return (pull != 0 ? pull * static_cast<A>(of.counts[e]) : A(0)) +
           (k == 1 && e == chosen[0] ? dw[0] : A(0));
  };
  const auto p = softmax_of(experts, row);
  const A mean = mean_of(experts, p, dp);
  const auto weight = softmax_of(k, row, chosen);
  const auto dweight = [=](std::int64_t j) { return dw[j]; };
  const A weight_mean = mean_of(k, weight, dweight);
  for (std::int64_t e = lane_of(); e < experts; e += kWarp) {
    A d = p(e) * (dp(e) - mean);
    for (std::int64_t j = 0; k > 1 && j < k; ++j)
      if (chosen[j] == e) d += weight(j) * (dw[j] - weight_mean);
    cuda::put(add, dlogits[r * experts + e], d);
  }
}

cuda::Grid grid_of(std::int64_t rows) {
  return {.blocks = cuda::ceil_div(rows, kWarps), .threads = kWarps * kWarp};
}

}  // namespace

template <class A>
void top_k(Cuda on, std::int64_t rows, std::int64_t experts, std::int64_t k, const A* logits,
           std::int32_t* choices) {
  cuda::run(on, grid_of(rows), top_k_kernel<A>, rows, experts, k, logits, choices);
}

template <class A>
void router_weights(Cuda on, std::int64_t rows, std::int64_t experts, std::int64_t k,
                    const A* logits, const std::int32_t* choices, A* weights) {
  cuda::run(on, grid_of(rows), weights_kernel<A>, rows, experts, k, logits, choices, weights);
}

template <class A>
void router_weights_backward(Cuda on, std::int64_t rows, std::int64_t experts, std::int64_t k,
                             const A* dweights, const A* logits, const std::int32_t* choices,
                             const Pull& of, A* dlogits, bool add) {
  cuda::run(on, grid_of(rows), weights_backward_kernel<A>, rows, experts, k, dweights, logits,
            choices, of, dlogits, add);
}

#define FUSOR_TOP_K_ROUTER(A)                                                                     \
  template void top_k(Cuda, std::int64_t, std::int64_t, std::int64_t, const A*, std::int32_t*);   \
  template void router_weights(Cuda, std::int64_t, std::int64_t, std::int64_t, const A*,          \
                               const std::int32_t*, A*);                                          \
  template void router_weights_backward(Cuda, std::int64_t, std::int64_t, std::int64_t, const A*, \
                                        const A*, const std::int32_t*, const Pull&, A*, bool);
FUSOR_TOP_K_ROUTER(double)
FUSOR_TOP_K_ROUTER(float)
#undef FUSOR_TOP_K_ROUTER

}  // namespace fusor::ops::kernels
