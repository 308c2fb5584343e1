#pragma once
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <cstdint>
#include <limits>

#include "runtime/cuda.h"
#include "runtime/dtype.h"
#include "runtime/error.h"
#include "runtime/launch.h"

// What the CUDA kernels share: element conversion, vectors, sums of warps and blocks, launching.
// Kernels are plain functions of plain data; run() starts them. A sum is always added in the same
// order, so a kernel gives the same bits each time.
namespace fusor::ops::cuda {

inline constexpr int kWarp = 32;
inline constexpr unsigned kAllLanes = 0xffffffffu;

// Kernels compute in acc_t<T>; these move elements in and out of storage.
__device__ inline double load(double x) { return x; }
__device__ inline float load(float x) { return x; }
__device__ inline float load(bf16 x) { return static_cast<float>(x); }
__device__ inline float load(f16 x) { return __half2float(__ushort_as_half(x.bits)); }
__device__ inline void store(double& to, double x) { to = x; }
__device__ inline void store(float& to, float x) { to = x; }
__device__ inline void store(bf16& to, float x) {
  to.bits = __bfloat16_as_ushort(__float2bfloat16_rn(x));
}
__device__ inline void store(f16& to, float x) { to.bits = __half_as_ushort(__float2half_rn(x)); }

// to = (add ? to : 0) + d
template <class T>
__device__ void put(bool add, T& to, acc_t<T> d) {
  store(to, add ? load(to) + d : d);
}

// N elements that are moved at once. Their address must be a multiple of their size.
template <class T, int N>
struct alignas(N * sizeof(T)) Vector {
  T at[N];
};
template <class T>
inline constexpr int kVector = 16 / static_cast<int>(sizeof(T));  // elements of a 16-byte move

inline bool is_aligned(const void* p, std::size_t bytes = 16) {
  return reinterpret_cast<std::uintptr_t>(p) % bytes == 0;
}

// The value of all lanes of the warp together, in every lane. All lanes take part.
template <class T, class Combine>
__device__ T warp_reduce(T x, Combine combine) {
#pragma unroll
  for (int offset = kWarp / 2; offset > 0; offset /= 2)
    x = combine(x, __shfl_xor_sync(kAllLanes, x, offset));
  return x;
}
struct Sum {
  template <class T>
  __device__ T operator()(T a, T b) const {
    return a + b;
  }
};
struct Max {
  template <class T>
  __device__ T operator()(T a, T b) const {
    return a > b ? a : b;
  }
};
template <class T>
__device__ T warp_sum(T x) {
  return warp_reduce(x, Sum());
}
template <class T>
__device__ T warp_max(T x) {
  return warp_reduce(x, Max());
}

// The value of all threads of the block together, in every thread. The block is whole warps, and
// all its threads call this. `identity` changes nothing.
template <class T, class Combine>
__device__ T block_reduce(T x, T identity, Combine combine) {
  __shared__ T of_warp[kWarp];
  const int lane = static_cast<int>(threadIdx.x) % kWarp,
            warp = static_cast<int>(threadIdx.x) / kWarp;
  const int warps = static_cast<int>(blockDim.x) / kWarp;
  x = warp_reduce(x, combine);
  __syncthreads();  // an earlier call's of_warp has been read
  if (lane == 0) of_warp[warp] = x;
  __syncthreads();
  return warp_reduce(lane < warps ? of_warp[lane] : identity, combine);
}
template <class T>
__device__ T block_sum(T x) {
  return block_reduce(x, T(0), Sum());
}
template <class T>
__device__ T block_max(T x) {
  return block_reduce(x, -std::numeric_limits<T>::infinity(), Max());
}

// The shared memory that Grid::shared asked for; one per kernel, 16-byte aligned.
template <class T>
__device__ T* dynamic_shared() {
  extern __shared__ __align__(16) unsigned char dynamic_shared_bytes[];
  return reinterpret_cast<T*>(dynamic_shared_bytes);
}

struct Grid {
  std::int64_t blocks;     // 0: nothing to do
  int threads;             // of a block
  std::size_t shared = 0;  // bytes, for dynamic_shared()
  std::int64_t rows = 1;   // blockIdx.y; at most 65535
};

// Queues kernel(args...). Throws Error if CUDA refuses, or the device has less shared memory.
template <class... Params, class... Args>
void run(Cuda on, const Grid& grid, void (*kernel)(Params...), Args&&... args) {
  if (grid.blocks == 0 || grid.rows == 0) return;
  require(grid.blocks <= std::numeric_limits<int>::max() && grid.rows <= 65535, "a grid of ",
          grid.blocks, " x ", grid.rows, " blocks");
  constexpr std::size_t kWithoutAsking = 48 << 10;
  if (grid.shared > kWithoutAsking)
    ask_for_shared_memory(reinterpret_cast<const void*>(kernel), grid.shared);
  cudaLaunchConfig_t config{};
  config.gridDim = dim3(static_cast<unsigned>(grid.blocks), static_cast<unsigned>(grid.rows));
  config.blockDim = dim3(static_cast<unsigned>(grid.threads));
  config.dynamicSmemBytes = grid.shared;
  config.stream = on.stream;
  check_cuda(cudaLaunchKernelEx(&config, kernel, static_cast<Params>(args)...), "kernel launch");
}

inline std::int64_t ceil_div(std::int64_t n, std::int64_t by) { return (n + by - 1) / by; }

// Blocks for loops of which each thread takes every (blocks x threads)-th round: enough to fill any
// GPU of today, few enough that starting them costs nothing.
inline std::int64_t loop_blocks(std::int64_t rounds, int threads) {
  constexpr std::int64_t kMost = 2048;
  const std::int64_t blocks = ceil_div(rounds, threads);
  return blocks < kMost ? blocks : kMost;
}
__device__ inline std::int64_t first_round() {
  return static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
}
__device__ inline std::int64_t rounds_at_once() {
  return static_cast<std::int64_t>(gridDim.x) * blockDim.x;
}

}  // namespace fusor::ops::cuda
