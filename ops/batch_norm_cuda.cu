#include "ops/batch_norm_kernels.h"
#include "ops/cuda_map.h"

namespace fusor::ops::kernels {
namespace {

// A block of 256 threads goes over a strip of columns, one vector of each row for each thread of
// eight; the threads of a column are combined in a fixed order.
constexpr int kThreads = 256;
constexpr int kAcross = 8;  // vectors: of 16 bytes, a cache line
constexpr int kDown = kThreads / kAcross;

// The mean of n values, and the sum of the squared differences from it.
template <class A>
struct Moments {
  A n = 0, mean = 0, squares = 0;

  // Welford, "Note on a method for calculating corrected sums of squares and products", 1962
  __device__ void add(A x, A inv_n) {
    const A d = x - mean;
    mean += d * inv_n;
    squares += d * (x - mean);
  }
  // Chan, Golub and LeVeque, as on the CPU
  __device__ void add(const Moments& other) {
    if (other.n == 0) return;
    const A d = other.mean - mean, share = other.n / (n + other.n);
    mean += d * share;
    squares += other.squares + d * d * share * n;
    n += other.n;
  }
};

// The strip of a block of rows that this thread works on.
template <int N>
struct Strip {
  std::int64_t block, column, begin, end;
  int thread, across, down;
  bool inside;

  __device__ Strip(std::int64_t rows, std::int64_t cols, std::int64_t rows_of_block)
      : thread(static_cast<int>(threadIdx.x)), across(thread % kAcross), down(thread / kAcross) {
    const std::int64_t strips = (cols + kAcross * N - 1) / (kAcross * N);
    block = blockIdx.x / strips;
    column = (blockIdx.x % strips * kAcross + across) * N;
    begin = block * rows_of_block;
    end = min(begin + rows_of_block, rows);
    inside = column < cols;
  }
};

template <int N, class T>
__global__ void __launch_bounds__(kThreads)
    moments_kernel(std::int64_t rows, std::int64_t cols, std::int64_t rows_of_block, const T* x,
                   acc_t<T>* moments) {
  using A = acc_t<T>;
  __shared__ Moments<A> parts[kDown][kAcross * N];
  const Strip<N> strip(rows, cols, rows_of_block);
  Moments<A> mine[N];
  if (strip.inside) {
    A n = 0;
#pragma unroll 4
    for (std::int64_t r = strip.begin + strip.down; r < strip.end; r += kDown) {
      const auto row = cuda::load<N>(x + r * cols + strip.column);
      const A inv_n = 1 / ++n;
#pragma unroll
      for (int k = 0; k < N; ++k) mine[k].add(row.at[k], inv_n);
    }
#pragma unroll
    for (int k = 0; k < N; ++k) mine[k].n = n;
  }
#pragma unroll
  for (int k = 0; k < N; ++k) parts[strip.down][strip.across * N + k] = mine[k];
  __syncthreads();
  if (strip.down > 0 || !strip.inside) return;
#pragma unroll
  for (int k = 0; k < N; ++k) {
    Moments<A> all = mine[k];
    for (int d = 1; d < kDown; ++d) all.add(parts[d][strip.across * N + k]);
    A* const to = moments + 2 * strip.block * cols + strip.column + k;
    to[0] = all.mean;
    to[cols] = all.squares;
  }
}

// Threads that share a column in the kernels that go over blocks of rows.
constexpr int kSharing = 8;
constexpr int kColumns = kThreads / kSharing;

template <class A>
__global__ void __launch_bounds__(kThreads)
    combine_kernel(std::int64_t rows, std::int64_t block, std::int64_t cols, const A* parts,
                   A* to) {
  __shared__ Moments<A> shares[kSharing][kColumns];
  const int x = static_cast<int>(threadIdx.x) % kColumns,
            y = static_cast<int>(threadIdx.x) / kColumns;
  const std::int64_t c = static_cast<std::int64_t>(blockIdx.x) * kColumns + x;
  Moments<A> mine;
  if (c < cols)
    for (std::int64_t part = y; part * block < rows; part += kSharing)
      mine.add({static_cast<A>(min(block, rows - part * block)), parts[2 * part * cols + c],
                parts[(2 * part + 1) * cols + c]});
  shares[y][x] = mine;
  __syncthreads();
  if (y > 0 || c >= cols) return;
  for (int other = 1; other < kSharing; ++other) mine.add(shares[other][x]);
  to[c] = mine.mean;
  to[cols + c] = mine.squares;
}

// By column c, from its mean and the two divisors of its squared differences, or its variance.
template <class A>
__device__ void put_stats(A* stats, std::int64_t cols, std::int64_t c, double eps, A mean,
                          A variance, A unbiased) {
  stats[c] = mean;
  stats[cols + c] = 1 / sqrt(variance + static_cast<A>(eps));
  stats[2 * cols + c] = unbiased;
}

template <class A>
struct StatsOf {
  std::int64_t cols;
  double eps;
  A n, unbiased;
  const A* moments;
  A* stats;
  template <int>
  __device__ void at(std::int64_t, std::int64_t c) const {
    const A squares = moments[cols + c];
    put_stats(stats, cols, c, eps, moments[c], squares / n, squares / unbiased);
  }
};

template <class T>
struct RunningStats {
  std::int64_t cols;
  double eps;
  const T *mean, *variance;
  acc_t<T>* stats;
  template <int>
  __device__ void at(std::int64_t, std::int64_t c) const {
    const acc_t<T> v = cuda::load(variance[c]);
    put_stats(stats, cols, c, eps, cuda::load(mean[c]), v, v);
  }
};

// N columns of mean, rstd, gain and bias.
template <int N, class T>
struct Scale {
  cuda::Vector<acc_t<T>, N> mean, rstd, gain, bias;
  __device__ Scale(const BatchNormScale<T>& by, std::int64_t cols, std::int64_t c) {
#pragma unroll
    for (int k = 0; k < N; ++k) {
      mean.at[k] = by.stats[c + k], rstd.at[k] = by.stats[cols + c + k];
      gain.at[k] = cuda::load(by.gain[c + k]), bias.at[k] = cuda::load(by.bias[c + k]);
    }
  }
  __device__ acc_t<T> normal(acc_t<T> x, int k) const { return (x - mean.at[k]) * rstd.at[k]; }
  // What of dy a ReLU lets through; z: the normalised x.
  __device__ acc_t<T> passed(bool relu, acc_t<T> dy, acc_t<T> z, int k) const {
    return relu && !(z * gain.at[k] + bias.at[k] > 0) ? acc_t<T>(0) : dy;
  }
};

template <class T>
struct Normalize {
  std::int64_t cols;
  BatchNormScale<T> by;
  const T *x, *residual;
  T* y;
  template <int N>
  __device__ void at(std::int64_t row, std::int64_t c) const {
    const std::int64_t i = row * cols + c;
    const Scale<N, T> scale(by, cols, c);
    auto v = cuda::load<N>(x + i);
#pragma unroll
    for (int k = 0; k < N; ++k)
      v.at[k] = scale.normal(v.at[k], k) * scale.gain.at[k] + scale.bias.at[k];
    if (residual) {
      const auto r = cuda::load<N>(residual + i);
#pragma unroll
      for (int k = 0; k < N; ++k) v.at[k] += r.at[k];
    }
#pragma unroll
    for (int k = 0; k < N; ++k)
      if (by.relu && v.at[k] < 0) v.at[k] = 0;
    cuda::store<N>(y + i, v);
  }
};

template <int N, class T>
__global__ void __launch_bounds__(kThreads)
    sums_kernel(std::int64_t rows, std::int64_t cols, std::int64_t rows_of_block,
                BatchNormScale<T> by, const T* dy, const T* x, acc_t<T>* sums) {
  using A = acc_t<T>;
  __shared__ A of_g[kDown][kAcross * N], of_gz[kDown][kAcross * N];
  const Strip<N> strip(rows, cols, rows_of_block);
  cuda::Vector<A, N> g_sum{}, gz_sum{};
  if (strip.inside) {
    const Scale<N, T> scale(by, cols, strip.column);
#pragma unroll 2
    for (std::int64_t r = strip.begin + strip.down; r < strip.end; r += kDown) {
      const auto d = cuda::load<N>(dy + r * cols + strip.column),
                 v = cuda::load<N>(x + r * cols + strip.column);
#pragma unroll
      for (int k = 0; k < N; ++k) {
        const A z = scale.normal(v.at[k], k), g = scale.passed(by.relu, d.at[k], z, k);
        g_sum.at[k] += g;
        gz_sum.at[k] += g * z;
      }
    }
  }
#pragma unroll
  for (int k = 0; k < N; ++k) {
    of_g[strip.down][strip.across * N + k] = g_sum.at[k];
    of_gz[strip.down][strip.across * N + k] = gz_sum.at[k];
  }
  __syncthreads();
  if (strip.down > 0 || !strip.inside) return;
#pragma unroll
  for (int k = 0; k < N; ++k) {
    for (int d = 1; d < kDown; ++d) {
      g_sum.at[k] += of_g[d][strip.across * N + k];
      gz_sum.at[k] += of_gz[d][strip.across * N + k];
    }
    A* const to = sums + 2 * strip.block * cols + strip.column + k;
    to[0] = g_sum.at[k];
    to[cols] = gz_sum.at[k];
  }
}

template <class T>
struct Backward {
  std::int64_t cols;
  BatchNormScale<T> by;
  const T *dy, *x;
  const acc_t<T>* sums;
  acc_t<T> share;
  T* dx;
  bool add;
  template <int N>
  __device__ void at(std::int64_t row, std::int64_t c) const {
    using A = acc_t<T>;
    const std::int64_t i = row * cols + c;
    const Scale<N, T> scale(by, cols, c);
    auto d = cuda::load<N>(dy + i);
    const auto v = cuda::load<N>(x + i);
#pragma unroll
    for (int k = 0; k < N; ++k) {
      const A z = scale.normal(v.at[k], k);
      A g = scale.passed(by.relu, d.at[k], z, k);
      if (sums) g -= (sums[c + k] + z * sums[cols + c + k]) * share;
      d.at[k] = scale.gain.at[k] * scale.rstd.at[k] * g;
    }
    cuda::put<N>(add, dx + i, d);
  }
};

// kernel<N>(blocks of rows x strips) with vectors where x, and dy, hold them.
template <class T, class Start>
void for_strips(std::int64_t rows, std::int64_t cols, bool vectors, Start&& start) {
  const std::int64_t blocks = num_batch_norm_blocks(DeviceKind::cuda, rows, cols);
  constexpr int N = cuda::kVector<T>;
  if (vectors && cols % N == 0)
    start(std::integral_constant<int, N>(), blocks * cuda::ceil_div(cols, kAcross * N));
  else
    start(std::integral_constant<int, 1>(), blocks * cuda::ceil_div(cols, kAcross));
}

}  // namespace

template <class T, class A>
void batch_norm_moments(Cuda on, std::int64_t rows, std::int64_t cols, const T* x, A* moments) {
  const std::int64_t block = batch_norm_block(DeviceKind::cuda, rows, cols);
  for_strips<T>(rows, cols, cuda::hold_vectors<cuda::kVector<T>>(x), [&](auto n, auto blocks) {
    cuda::run(on, {.blocks = blocks, .threads = kThreads}, moments_kernel<n, T>, rows, cols, block,
              x, moments);
  });
}

template <class A>
void combine_moments(Cuda on, std::int64_t rows, std::int64_t block, std::int64_t cols,
                     const A* parts, A* to) {
  cuda::run(on, {.blocks = cuda::ceil_div(cols, kColumns), .threads = kThreads}, combine_kernel<A>,
            rows, block, cols, parts, to);
}

template <class A>
void batch_norm_stats(Cuda on, std::int64_t rows, std::int64_t cols, double eps, const A* moments,
                      A* stats) {
  const StatsOf<A> body{
      cols,    eps,  static_cast<A>(rows), static_cast<A>(std::max<std::int64_t>(rows - 1, 1)),
      moments, stats};
  cuda::for_rows<1>(on, 1, cols, false, body);
}

template <class T, class A>
void batch_norm_running_stats(Cuda on, std::int64_t cols, double eps, const T* mean,
                              const T* variance, A* stats) {
  cuda::for_rows<1>(on, 1, cols, false, RunningStats<T>{cols, eps, mean, variance, stats});
}

template <class T>
void batch_norm(Cuda on, std::int64_t rows, std::int64_t cols, const BatchNormScale<T>& by,
                const T* x, const T* residual, T* y) {
  constexpr int N = cuda::kVector<T>;
  cuda::for_rows<N>(on, rows, cols, cuda::hold_vectors<N>(x, residual, y),
                    Normalize<T>{cols, by, x, residual, y});
}

template <class T, class A>
void batch_norm_sums(Cuda on, std::int64_t rows, std::int64_t cols, const BatchNormScale<T>& by,
                     const T* dy, const T* x, A* sums) {
  const std::int64_t block = batch_norm_block(DeviceKind::cuda, rows, cols);
  for_strips<T>(rows, cols, cuda::hold_vectors<cuda::kVector<T>>(dy, x), [&](auto n, auto blocks) {
    cuda::run(on, {.blocks = blocks, .threads = kThreads}, sums_kernel<n, T>, rows, cols, block, by,
              dy, x, sums);
  });
}

template <class T, class A>
void batch_norm_backward(Cuda on, std::int64_t rows, std::int64_t cols, const BatchNormScale<T>& by,
                         const T* dy, const T* x, const A* sums, std::int64_t count, T* dx,
                         bool add) {
  constexpr int N = cuda::kVector<T>;
  cuda::for_rows<N>(on, rows, cols, cuda::hold_vectors<N>(dy, x, dx),
                    Backward<T>{cols, by, dy, x, sums, 1 / static_cast<A>(count), dx, add});
}

#define FUSOR_BATCH_NORM(T)                                                                      \
  template void batch_norm_moments(Cuda, std::int64_t, std::int64_t, const T*, acc_t<T>*);       \
  template void batch_norm_running_stats(Cuda, std::int64_t, double, const T*, const T*,         \
                                         acc_t<T>*);                                             \
  template void batch_norm(Cuda, std::int64_t, std::int64_t, const BatchNormScale<T>&, const T*, \
                           const T*, T*);                                                        \
  template void batch_norm_sums(Cuda, std::int64_t, std::int64_t, const BatchNormScale<T>&,      \
                                const T*, const T*, acc_t<T>*);                                  \
  template void batch_norm_backward(Cuda, std::int64_t, std::int64_t, const BatchNormScale<T>&,  \
                                    const T*, const T*, const acc_t<T>*, std::int64_t, T*, bool);
FUSOR_BATCH_NORM(double)
FUSOR_BATCH_NORM(float)
FUSOR_BATCH_NORM(bf16)
FUSOR_BATCH_NORM(f16)
#undef FUSOR_BATCH_NORM

#define FUSOR_MOMENTS(A)                                                                       \
  template void combine_moments(Cuda, std::int64_t, std::int64_t, std::int64_t, const A*, A*); \
  template void batch_norm_stats(Cuda, std::int64_t, std::int64_t, double, const A*, A*);
FUSOR_MOMENTS(double)
FUSOR_MOMENTS(float)
#undef FUSOR_MOMENTS

}  // namespace fusor::ops::kernels
