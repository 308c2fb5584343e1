#include "ops/cuda_map.h"
#include "ops/sum_rows_kernels.h"

namespace fusor::ops::kernels {
namespace {

// A block adds up at most kTall rows of a strip of columns: each of its threads one vector of every
// kRowsAtOnce-th row, then the threads of a warp, then the warps. The sums of the blocks are added
// up the same way. What is added to what depends on the number of rows alone.
constexpr int kThreads = 256;
constexpr int kWide = 8;  // vectors: of 16 bytes, a cache line
constexpr int kRowsAtOnce = kThreads / kWide;
constexpr int kWarps = kThreads / cuda::kWarp;
constexpr std::int64_t kTall = 256;

template <int N, class T, class A>
__global__ void __launch_bounds__(kThreads)
    sum_kernel(std::int64_t rows, std::int64_t cols, std::int64_t tall, const T* x, A* to,
               bool add) {
  __shared__ A of_warps[kWarps][kWide * N];
  const int thread = static_cast<int>(threadIdx.x);
  const int across = thread % kWide, warp = thread / cuda::kWarp;
  const std::int64_t strips = (cols + kWide * N - 1) / (kWide * N), block = blockIdx.x / strips;
  const std::int64_t strip = blockIdx.x % strips * kWide * N, c = strip + across * N;
  const std::int64_t begin = block * tall;
  const std::int64_t end = begin + tall < rows ? begin + tall : rows;
  cuda::Vector<A, N> sum{};
  if (c < cols) {
#pragma unroll 4
    for (std::int64_t r = begin + thread / kWide; r < end; r += kRowsAtOnce) {
      const auto row = cuda::load<N>(x + r * cols + c);
#pragma unroll
      for (int k = 0; k < N; ++k) sum.at[k] += row.at[k];
    }
  }
#pragma unroll
  for (int k = 0; k < N; ++k) {
#pragma unroll
    for (int offset = kWide; offset < cuda::kWarp; offset *= 2)
      sum.at[k] += __shfl_xor_sync(cuda::kAllLanes, sum.at[k], offset);
    if (thread % cuda::kWarp < kWide) of_warps[warp][across * N + k] = sum.at[k];
  }
  __syncthreads();
  if (thread >= kWide * N || strip + thread >= cols) return;
  A total = of_warps[0][thread];
#pragma unroll
  for (int w = 1; w < kWarps; ++w) total += of_warps[w][thread];
  cuda::put(add, to[block * cols + strip + thread], total);
}

// to [blocks, cols] = (add ? to : 0) + the sums of `tall` rows each
template <class T, class A>
void sum_blocks(Cuda on, std::int64_t rows, std::int64_t cols, std::int64_t blocks,
                std::int64_t tall, const T* x, A* to, bool add) {
  constexpr int kMost = cuda::kVector<T>;
  const auto start = [&](int size, auto kernel) {
    cuda::run(on, {.blocks = blocks * cuda::ceil_div(cols, kWide * size), .threads = kThreads},
              kernel, rows, cols, tall, x, to, add);
  };
  if (cols % kMost == 0 && cuda::hold_vectors<kMost>(x))
    start(kMost, sum_kernel<kMost, T, A>);
  else
    start(1, sum_kernel<1, T, A>);
}

}  // namespace

std::int64_t sum_rows_workspace(Cuda, std::int64_t rows, std::int64_t cols) {
  return rows <= kTall ? 0 : cuda::ceil_div(rows, kTall) * cols;
}

template <class T, class A>
void sum_rows(Cuda on, std::int64_t rows, std::int64_t cols, const T* x, A* to, bool add,
              A* workspace) {
  if (rows <= kTall) return sum_blocks(on, rows, cols, 1, rows, x, to, add);
  const std::int64_t blocks = cuda::ceil_div(rows, kTall);
  sum_blocks(on, rows, cols, blocks, kTall, x, workspace, false);
  sum_blocks<A>(on, blocks, cols, 1, blocks, workspace, to, add);
}

template void sum_rows(Cuda, std::int64_t, std::int64_t, const double*, double*, bool, double*);
template void sum_rows(Cuda, std::int64_t, std::int64_t, const float*, float*, bool, float*);
template void sum_rows(Cuda, std::int64_t, std::int64_t, const bf16*, float*, bool, float*);
template void sum_rows(Cuda, std::int64_t, std::int64_t, const f16*, float*, bool, float*);

}  // namespace fusor::ops::kernels
