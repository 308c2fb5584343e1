#include <vector>

#include "ops/cuda_arrays.h"
#include "ops/cuda_map.h"
#include "ops/exact_sum.h"
#include "ops/grad_norm_kernels.h"

namespace fusor::ops::kernels {
namespace {

using Limb = unsigned long long;  // which atomics know; sums are the same in two's complement

constexpr int kThreads = 256;
constexpr int kTerm = 64, kLanes = 8;  // elements of a term of the exact sum, as on the CPU
constexpr int kShare = kLanes / 2;     // lanes of a thread: two neighbours have a term

template <class T>
struct Squared {
  const T* data;
  std::int64_t elements;
};

// The sum of squares of the first n of 64 elements, added in the CPU's order; of both threads of a
// term. All lanes of the warp take part. The elements that are not there count as 0.
template <class T>
__device__ double term(const T* x, std::int64_t n, bool aligned) {
  const int from = static_cast<int>(threadIdx.x) % 2 * kShare;
  cuda::Vector<T, kShare> row[kTerm / kLanes]{};
#pragma unroll
  for (int i = 0; i < kTerm / kLanes; ++i)
    if (aligned && n >= kTerm)
      row[i] = cuda::read<kShare>(x + i * kLanes + from);
    else
      for (int j = 0; j < kShare; ++j)
        if (i * kLanes + from + j < n) row[i].at[j] = x[i * kLanes + from + j];
  double lane[kShare] = {};
#pragma unroll
  for (int i = 0; i < kTerm / kLanes; ++i)
#pragma unroll
    for (int j = 0; j < kShare; ++j) {
      const double e = cuda::load(row[i].at[j]);
      lane[j] = fma(e, e, lane[j]);
    }
  const double half = (lane[0] + lane[1]) + (lane[2] + lane[3]);
  return half + __shfl_xor_sync(cuda::kAllLanes, half, 1);
}

// A thread's exact sum: the few limbs that terms of one magnitude need, in registers. Terms of
// another magnitude send them on to the block's.
struct Window {
  static constexpr int kWidth = 4;
  int at = -1;  // the first limb; -1: no term yet
  std::int64_t limb[kWidth] = {};

  __device__ void add(double x, Limb* block) {
    if (x == 0) return;
    const ExactSum::Parts parts = ExactSum::parts(x);
    if (at < 0 || (parts.limb != at && parts.limb != at + 1)) move_to(parts.limb, block);
    const bool upper = parts.limb > at;
#pragma unroll
    for (int i = 0; i < 3; ++i) {
      limb[i] += upper ? 0 : parts.part[i];
      limb[i + 1] += upper ? parts.part[i] : 0;
    }
  }

  // So that terms on both sides of the border that was crossed have their place.
  __device__ void move_to(int place, Limb* block) {
    for (int i = 0; i < kWidth; ++i) {
      if (at >= 0) atomicAdd(block + at + i, static_cast<Limb>(limb[i]));
      limb[i] = 0;
    }
    const int from = at >= 0 && place > at ? place - 1 : place;
    at = min(from, ExactSum::kLimbs - kWidth);
  }

  // Sends on what the threads of a warp have, all of those of one place together.
  __device__ void add_warp_to(Limb* block) {
    for (int place = cuda::warp_max(at); place >= 0; place = cuda::warp_max(at)) {
      for (int i = 0; i < kWidth; ++i) {
        const std::int64_t sum = cuda::warp_sum(at == place ? limb[i] : std::int64_t{0});
        if (threadIdx.x % cuda::kWarp == 0) atomicAdd(block + place + i, static_cast<Limb>(sum));
      }
      if (at == place) at = -1;
    }
  }
};

// Adds a block's sum to `sum`, carried, so that `sum` takes 2^30 of them.
__device__ void add_block_to(std::int64_t* sum, Limb* block) {
  auto* const limbs = reinterpret_cast<std::int64_t*>(block);
  __syncthreads();
  if (threadIdx.x == 0) ExactSum::carry(limbs);
  __syncthreads();
  for (int i = static_cast<int>(threadIdx.x); i < ExactSum::kLimbs; i += kThreads)
    if (limbs[i] != 0) atomicAdd(reinterpret_cast<Limb*>(sum) + i, block[i]);
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    sum_squares_kernel(const cuda::ArrayList<Squared<T>> list, std::int64_t* sum) {
  __shared__ Limb of_block[ExactSum::kLimbs];
  for (int i = static_cast<int>(threadIdx.x); i < ExactSum::kLimbs; i += kThreads) of_block[i] = 0;
  __syncthreads();
  constexpr int kTermsAtOnce = kThreads / 2;
  const int mine = static_cast<int>(threadIdx.x) / 2;  // of the terms at once
  Window window;
  for (int b = static_cast<int>(blockIdx.x); b < list.first[list.count];
       b += static_cast<int>(gridDim.x)) {
    const cuda::ArrayBlock<Squared<T>> part(list, b);
    const T* const data = part.array.data;
    const bool aligned = cuda::hold<kShare>(data);
    for (std::int64_t i = part.begin; i < part.end; i += kTermsAtOnce * kTerm) {
      const std::int64_t from = i + mine * kTerm;
      const double x = term(data + from, part.end - from, aligned);
      if (threadIdx.x % 2 == 0) window.add(x, of_block);
    }
  }
  window.add_warp_to(of_block);
  add_block_to(sum, of_block);
}

__global__ void clip_kernel(const std::int64_t* sum, const double* inv_count,
                            const double* loss_scale, double max_norm, double* scale,
                            double* norm) {
  const double unit = loss_scale ? *inv_count / *loss_scale : *inv_count;
  const double mean = sqrt(ExactSum::value(sum)) * unit;
  const double clip = max_norm / (mean + 1e-6);
  *norm = mean;
  *scale = mean != mean ? 0 : max_norm == 0 || clip > 1 ? unit : unit * clip;
}

}  // namespace

template <class T>
void sum_squares(Cuda on, std::span<const std::span<const T>> arrays, std::int64_t* sum) {
  constexpr std::int64_t kMostBlocks = 528;  // four for each multiprocessor of an H200
  check_cuda(cudaMemsetAsync(sum, 0, ExactSum::kLimbs * sizeof *sum, on.stream), "sum of squares");
  std::vector<Squared<T>> squared;
  for (const auto& array : arrays)
    squared.push_back({array.data(), static_cast<std::int64_t>(array.size())});
  cuda::for_lists(std::span<const Squared<T>>(squared), [&](const auto& list, std::int64_t blocks) {
    cuda::run(on, {.blocks = std::min(blocks, kMostBlocks), .threads = kThreads},
              sum_squares_kernel<T>, list, sum);
  });
}

void clip_scale(Cuda on, const std::int64_t* sum, const double* inv_count, const double* loss_scale,
                double max_norm, double* scale, double* norm) {
  cuda::run(on, {.blocks = 1, .threads = 1}, clip_kernel, sum, inv_count, loss_scale, max_norm,
            scale, norm);
}

template void sum_squares(Cuda, std::span<const std::span<const double>>, std::int64_t*);
template void sum_squares(Cuda, std::span<const std::span<const float>>, std::int64_t*);
template void sum_squares(Cuda, std::span<const std::span<const bf16>>, std::int64_t*);
template void sum_squares(Cuda, std::span<const std::span<const f16>>, std::int64_t*);

}  // namespace fusor::ops::kernels
