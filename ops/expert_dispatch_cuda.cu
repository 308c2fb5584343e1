#include <algorithm>

#include "ops/cuda.h"
#include "ops/expert_dispatch_kernels.h"

namespace fusor::ops::kernels {
namespace {

using cuda::kAllLanes;
using cuda::kVector;
using cuda::kWarp;
using cuda::Vector;

// A local row's place among the rows of the whole micro-batch.
__device__ std::int64_t place_of(const RowMap& map, std::int64_t row) {
  return map.global_row(row) - map.first_sample * map.seq_len;
}

__global__ void global_choices_kernel(std::int64_t rows, std::int64_t k,
                                      const std::int32_t* choices, RowMap map,
                                      std::int32_t* global) {
  for (std::int64_t i = cuda::first_round(); i < rows * k; i += cuda::rounds_at_once())
    global[place_of(map, i / k) * k + i % k] = choices[i];
}

constexpr int kRouteThreads = 1024, kRouteWarps = kRouteThreads / kWarp;

// The elements [0, n) that a test picks, numbered in order by a block: each warp takes a run of
// them, 32 at a time.
struct Numbered {
  std::int64_t begin, end;  // of this warp
  std::int64_t first;       // the number of the first one it picks
  std::int64_t all;         // how many the block picks

  template <class Test>
  __device__ Numbered(std::int64_t n, Test&& picks) {
    __shared__ std::int64_t of_warp[kRouteWarps];
    const int warp = static_cast<int>(threadIdx.x) / kWarp;
    const std::int64_t run = (n + kRouteThreads - 1) / kRouteThreads * kWarp;
    begin = warp * run < n ? warp * run : n;
    end = begin + run < n ? begin + run : n;
    std::int64_t count = 0;
    for (std::int64_t i = begin; i < end; i += kWarp) count += __popc(picked(i, picks));
    __syncthreads();  // an earlier call's of_warp has been read
    if (threadIdx.x % kWarp == 0) of_warp[warp] = count;
    __syncthreads();
    first = all = 0;
    for (int w = 0; w < kRouteWarps; ++w) {
      if (w < warp) first += of_warp[w];
      all += of_warp[w];
    }
  }

  // take(i, number) for those of this warp.
  template <class Test, class Take>
  __device__ void for_each(Test&& picks, Take&& take) const {
    const unsigned lane = threadIdx.x % kWarp;
    std::int64_t number = first;
    for (std::int64_t i = begin; i < end; i += kWarp) {
      const unsigned lanes = picked(i, picks);
      if (lanes >> lane & 1) take(i + lane, number + __popc(lanes & ((1u << lane) - 1)));
      number += __popc(lanes);
    }
  }

 private:
  // Of the 32 elements from i on.
  template <class Test>
  __device__ unsigned picked(std::int64_t i, Test&& picks) const {
    const std::int64_t mine = i + threadIdx.x % kWarp;
    return __ballot_sync(kAllLanes, mine < end && picks(mine));
  }
};

// A block serves one expert. Turn t is when the micro-batch's choice t / global_rows of row
// t % global_rows is served, so those in time are the ones before some turn. `slots` and `sources`
// hold -1.
__global__ void __launch_bounds__(kRouteThreads)
    route_kernel(RoutingSize s, RowMap map, const std::int32_t* global, std::int32_t* slots,
                 std::int32_t* sources, std::int32_t* counts) {
  __shared__ std::int64_t last_turn;
  const auto expert = static_cast<std::int32_t>(blockIdx.x);
  const auto wants = [=](std::int64_t turn) {
    return global[turn % s.global_rows * s.k + turn / s.global_rows] == expert;
  };
  const std::int64_t turns = s.global_rows * s.k;
  if (threadIdx.x == 0) last_turn = turns;
  const Numbered choices(turns, wants);
  choices.for_each(wants, [&](std::int64_t turn, std::int64_t number) {
    if (number == s.capacity - 1) last_turn = turn;
  });
  if (threadIdx.x == 0) counts[expert] = static_cast<std::int32_t>(choices.all);
  __syncthreads();

  const auto served = [=, last = last_turn](std::int64_t i) {
    const std::int64_t j = i / s.rows, place = place_of(map, i % s.rows);
    return global[place * s.k + j] == expert && j * s.global_rows + place <= last;
  };
  const Numbered local(s.rows * s.k, served);
  local.for_each(served, [=](std::int64_t i, std::int64_t number) {
    const std::int64_t choice = i % s.rows * s.k + i / s.rows;
    const std::int64_t slot = expert * s.slots_per_expert + number;
    slots[choice] = static_cast<std::int32_t>(slot);
    sources[slot] = static_cast<std::int32_t>(choice);
  });
}

void fill_with_minus_one(Cuda on, std::int32_t* to, std::int64_t n) {
  check_cuda(cudaMemsetAsync(to, 0xff, static_cast<std::size_t>(n) * sizeof *to, on.stream),
             "cudaMemsetAsync");
}

// The kernels below give a row to a block, kV columns to a thread at a time.

template <class T, class A, int kV>
__global__ void scatter_kernel(std::int64_t num_slots, std::int64_t k, std::int64_t cols,
                               const std::int32_t* sources, const A* weights, const T* x, T* buffer,
                               bool add) {
  using Part = Vector<T, kV>;
  for (std::int64_t s = blockIdx.x; s < num_slots; s += gridDim.x) {
    const std::int32_t source = sources[s];
    if (source < 0 && add) continue;
    const A weight = source >= 0 && weights ? weights[source] : A(1);
    const T* from = x + (source < 0 ? 0 : source / k * cols);
    for (std::int64_t c = threadIdx.x * kV; c < cols; c += blockDim.x * kV) {
      auto* to = reinterpret_cast<Part*>(buffer + s * cols + c);
      Part y{};
      if (source >= 0) {
        const Part in = *reinterpret_cast<const Part*>(from + c);
        if (add) y = *to;
#pragma unroll
        for (int e = 0; e < kV; ++e) cuda::put(add, y.at[e], weight * cuda::load(in.at[e]));
      }
      *to = y;
    }
  }
}

template <class T, class A, int kV>
__global__ void gather_kernel(std::int64_t rows, std::int64_t k, std::int64_t cols,
                              const std::int32_t* slots, const A* weights, const T* buffer, T* y,
                              bool add) {
  using Part = Vector<T, kV>;
  for (std::int64_t r = blockIdx.x; r < rows; r += gridDim.x)
    for (std::int64_t c = threadIdx.x * kV; c < cols; c += blockDim.x * kV) {
      A sum[kV] = {};
      for (std::int64_t choice = r * k; choice < (r + 1) * k; ++choice) {
        const std::int64_t slot = slots[choice];
        if (slot < 0) continue;
        const A weight = weights ? weights[choice] : A(1);
        const Part in = *reinterpret_cast<const Part*>(buffer + slot * cols + c);
#pragma unroll
        for (int e = 0; e < kV; ++e) sum[e] += weight * cuda::load(in.at[e]);
      }
      auto* to = reinterpret_cast<Part*>(y + r * cols + c);
      Part out{};
      if (add) out = *to;
#pragma unroll
      for (int e = 0; e < kV; ++e) cuda::put(add, out.at[e], sum[e]);
      *to = out;
    }
}

// Here a warp takes a choice.
template <class T, class A, int kV>
__global__ void dots_kernel(std::int64_t choices, std::int64_t k, std::int64_t cols,
                            const std::int32_t* slots, const T* dy, const T* buffer, A* dweights,
                            bool add) {
  using Part = Vector<T, kV>;
  const std::int64_t choice = cuda::first_round() / kWarp,
                     slot = choice < choices ? slots[choice] : -1;
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  if (choice >= choices) return;  // a whole warp
  A sum = 0;
  for (std::int64_t c = slot < 0 ? cols : lane * kV; c < cols; c += kWarp * kV) {
    const Part a = *reinterpret_cast<const Part*>(dy + choice / k * cols + c);
    const Part b = *reinterpret_cast<const Part*>(buffer + slot * cols + c);
#pragma unroll
    for (int e = 0; e < kV; ++e) sum += cuda::load(a.at[e]) * cuda::load(b.at[e]);
  }
  sum = cuda::warp_sum(sum);
  if (lane == 0) cuda::put(add, dweights[choice], sum);
}

// Whole vectors of every row of both arrays can be moved.
template <class T>
bool are_wide(std::int64_t cols, const T* a, const T* b) {
  return cols % kVector<T> == 0 && cuda::is_aligned(a) && cuda::is_aligned(b);
}

// Blocks of a row each, with a thread for each of its `parts`.
cuda::Grid grid_of_rows(std::int64_t rows, std::int64_t parts) {
  const std::int64_t warps = std::clamp<std::int64_t>(cuda::ceil_div(parts, kWarp), 1, 8);
  return {.blocks = std::min<std::int64_t>(rows, 1 << 16),
          .threads = static_cast<int>(warps) * kWarp};
}

}  // namespace

void global_choices(Cuda on, std::int64_t rows, std::int64_t global_rows, std::int64_t k,
                    const std::int32_t* choices, RowMap map, std::int32_t* global) {
  constexpr int kThreads = 256;
  if (rows < global_rows) fill_with_minus_one(on, global, global_rows * k);
  cuda::run(on, {.blocks = cuda::loop_blocks(rows * k, kThreads), .threads = kThreads},
            global_choices_kernel, rows, k, choices, map, global);
}

void route(Cuda on, const RoutingSize& s, RowMap map, std::int32_t* global, std::int32_t* slots,
           std::int32_t* sources, std::int32_t* counts) {
  fill_with_minus_one(on, slots, s.rows * s.k);
  fill_with_minus_one(on, sources, s.experts * s.slots_per_expert);
  cuda::run(on, {.blocks = s.experts, .threads = kRouteThreads}, route_kernel, s, map, global,
            slots, sources, counts);
}

template <class T, class A>
void expert_scatter(Cuda on, std::int64_t num_slots, std::int64_t k, std::int64_t cols,
                    const std::int32_t* sources, const A* weights, const T* x, T* buffer,
                    bool add) {
  const bool wide = are_wide<T>(cols, x, buffer);
  cuda::run(on, grid_of_rows(num_slots, cols / (wide ? kVector<T> : 1)),
            wide ? scatter_kernel<T, A, kVector<T>> : scatter_kernel<T, A, 1>, num_slots, k, cols,
            sources, weights, x, buffer, add);
}

template <class T, class A>
void expert_gather(Cuda on, std::int64_t rows, std::int64_t k, std::int64_t cols,
                   const std::int32_t* slots, const A* weights, const T* buffer, T* y, bool add) {
  const bool wide = are_wide<T>(cols, buffer, y);
  cuda::run(on, grid_of_rows(rows, cols / (wide ? kVector<T> : 1)),
            wide ? gather_kernel<T, A, kVector<T>> : gather_kernel<T, A, 1>, rows, k, cols, slots,
            weights, buffer, y, add);
}

template <class T, class A>
void expert_dots(Cuda on, std::int64_t rows, std::int64_t k, std::int64_t cols,
                 const std::int32_t* slots, const T* dy, const T* buffer, A* dweights, bool add) {
  constexpr int kWarps = 8;
  const bool wide = are_wide(cols, dy, buffer);
  cuda::run(on, {.blocks = cuda::ceil_div(rows * k, kWarps), .threads = kWarps * kWarp},
            wide ? dots_kernel<T, A, kVector<T>> : dots_kernel<T, A, 1>, rows * k, k, cols, slots,
            dy, buffer, dweights, add);
}

#define FUSOR_EXPERT_DISPATCH(T, A)                                                                \
  template void expert_scatter(Cuda, std::int64_t, std::int64_t, std::int64_t,                     \
                               const std::int32_t*, const A*, const T*, T*, bool);                 \
  template void expert_gather(Cuda, std::int64_t, std::int64_t, std::int64_t, const std::int32_t*, \
                              const A*, const T*, T*, bool);                                       \
  template void expert_dots(Cuda, std::int64_t, std::int64_t, std::int64_t, const std::int32_t*,   \
                            const T*, const T*, A*, bool);
FUSOR_EXPERT_DISPATCH(double, double)
FUSOR_EXPERT_DISPATCH(float, float)
FUSOR_EXPERT_DISPATCH(bf16, float)
FUSOR_EXPERT_DISPATCH(f16, float)
#undef FUSOR_EXPERT_DISPATCH

}  // namespace fusor::ops::kernels
