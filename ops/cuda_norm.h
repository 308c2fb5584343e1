#pragma once
#include "ops/cuda_map.h"

// The forward pass of layer_norm and rms_norm. Threads hold a row in registers between reading it
// and writing it, so that the two sums of a variance cost no second reading.
namespace fusor::ops::cuda {

// Rows of `vectors` vectors. `threads` work on one: a warp, or a whole block.
struct Rows {
  std::int64_t rows;
  int cols, vectors, threads;
};

// The sum over the threads of a row.
template <class A>
__device__ A row_sum(A x, int threads) {
  return threads == kWarp ? warp_sum(x) : block_sum(x);
}

// Where the rows to be normalised come from: memory. A kernel begins with at_start(), and gives
// back by write() what it has read. Then it lies at rows(), too.
template <class T>
struct Given {
  const T* x;
  __device__ const Given& at_start() const { return *this; }
  template <int kWidth>
  __device__ Vector<T, kWidth> read(std::int64_t row, std::int64_t cols, std::int64_t c) const {
    return cuda::read<kWidth>(x + row * cols + c);
  }
  template <int kWidth>
  __device__ void write(std::int64_t, const Vector<T, kWidth>&) const {}
  __device__ const T* rows() const { return x; }
};

// What is to be done to each row. RMSNorm is not centred: its mean is 0, and it has no bias.
template <class T, class Source>
struct NormTask {
  double eps;
  Source x;
  const T *gain, *bias;
  T* y;
  acc_t<T>*mean, *rstd;
};

// y = (x - mean) rstd gain + bias, for one vector
template <bool kCentred, int kWidth, class T, class A>
__device__ Vector<T, kWidth> normalized(const Vector<T, kWidth>& x, A mean, A rstd, const T* gain,
                                        const T* bias) {
  const auto g = read<kWidth>(gain);
  Vector<T, kWidth> y;
  if constexpr (kCentred) {
    const auto b = read<kWidth>(bias);
#pragma unroll
    for (int j = 0; j < kWidth; ++j)
      store(y.at[j], (load(x.at[j]) - mean) * rstd * load(g.at[j]) + load(b.at[j]));
  } else {
#pragma unroll
    for (int j = 0; j < kWidth; ++j) store(y.at[j], load(x.at[j]) * rstd * load(g.at[j]));
  }
  return y;
}

inline constexpr int kRowPieces = 4;  // vectors of a row that a thread holds
inline constexpr int kMostThreads = 1024;

// Rows of at most kRowPieces vectors for each thread.
template <bool kCentred, int kWidth, class T, class Source>
__global__ void __launch_bounds__(kMostThreads) norm_kernel(Rows of, NormTask<T, Source> task) {
  using A = acc_t<T>;
  const int thread = static_cast<int>(threadIdx.x) % of.threads;
  const std::int64_t row =
      static_cast<std::int64_t>(blockIdx.x) * (blockDim.x / of.threads) + threadIdx.x / of.threads;
  if (row >= of.rows) return;
  const auto n = static_cast<A>(of.cols);
  const auto source = task.x.at_start();
  Vector<T, kWidth> x[kRowPieces];
  A sum = 0, squares = 0, mean = 0;
#pragma unroll
  for (int p = 0; p < kRowPieces; ++p)
    if (const int v = thread + p * of.threads; v < of.vectors)
      x[p] = source.template read<kWidth>(row, of.cols, v * kWidth);
#pragma unroll
  for (int p = 0; p < kRowPieces; ++p)
    if (const int v = thread + p * of.threads; v < of.vectors)
      source.write(row * of.cols + v * kWidth, x[p]);
  if constexpr (kCentred) {
#pragma unroll
    for (int p = 0; p < kRowPieces; ++p)
      if (thread + p * of.threads < of.vectors)
        for (int j = 0; j < kWidth; ++j) sum += load(x[p].at[j]);
    mean = row_sum(sum, of.threads) / n;
  }
#pragma unroll
  for (int p = 0; p < kRowPieces; ++p)
    if (thread + p * of.threads < of.vectors)
      for (int j = 0; j < kWidth; ++j) {
        const A d = load(x[p].at[j]) - mean;
        squares += d * d;
      }
  const A rstd = 1 / sqrt(row_sum(squares, of.threads) / n + static_cast<A>(task.eps));
#pragma unroll
  for (int p = 0; p < kRowPieces; ++p)
    if (const int v = thread + p * of.threads; v < of.vectors)
      write(task.y + row * of.cols + v * kWidth,
            normalized<kCentred>(x[p], mean, rstd, task.gain + v * kWidth,
                                 kCentred ? task.bias + v * kWidth : nullptr));
  if (thread > 0) return;
  if constexpr (kCentred) task.mean[row] = mean;
  task.rstd[row] = rstd;
}

// Rows too wide for registers: each sum reads them again.
template <bool kCentred, class T, class Source>
__global__ void __launch_bounds__(kMostThreads)
    wide_norm_kernel(std::int64_t cols, NormTask<T, Source> task) {
  using A = acc_t<T>;
  const std::int64_t row = blockIdx.x;
  const auto n = static_cast<A>(cols);
  const auto source = task.x.at_start();
  const T* const x = source.rows() + row * cols;
  A sum = 0, squares = 0, mean = 0;
  for (std::int64_t c = threadIdx.x; c < cols; c += blockDim.x) {
    const auto element = source.template read<1>(row, cols, c);
    source.write(row * cols + c, element);
    sum += load(element.at[0]);
  }
  if constexpr (kCentred) mean = block_sum(sum) / n;
  for (std::int64_t c = threadIdx.x; c < cols; c += blockDim.x)
    squares += (load(x[c]) - mean) * (load(x[c]) - mean);
  const A rstd = 1 / sqrt(block_sum(squares) / n + static_cast<A>(task.eps));
  for (std::int64_t c = threadIdx.x; c < cols; c += blockDim.x)
    write(task.y + row * cols + c, normalized<kCentred>(read<1>(x + c), mean, rstd, task.gain + c,
                                                        kCentred ? task.bias + c : nullptr));
  if (threadIdx.x > 0) return;
  if constexpr (kCentred) task.mean[row] = mean;
  task.rstd[row] = rstd;
}

template <bool kCentred, int kWidth, class T, class Source>
void run_norm(Cuda on, std::int64_t rows, std::int64_t cols, const NormTask<T, Source>& task) {
  const std::int64_t vectors = cols / kWidth, at_once = kMostThreads * kRowPieces;
  if (vectors > at_once)
    return run(on, {.blocks = rows, .threads = kMostThreads}, wide_norm_kernel<kCentred, T, Source>,
               cols, task);
  constexpr int kRowsOfWarps = 4;  // of a block in which a warp has a row
  const auto threads = static_cast<int>(ceil_div(ceil_div(vectors, kRowPieces), kWarp)) * kWarp;
  const int rows_of_block = threads == kWarp ? kRowsOfWarps : 1;
  const Rows of{rows, static_cast<int>(cols), static_cast<int>(vectors), threads};
  run(on, {.blocks = ceil_div(rows, rows_of_block), .threads = threads * rows_of_block},
      norm_kernel<kCentred, kWidth, T, Source>, of, task);
}

// `aligned`: the rows of x, y, gain and bias can be moved by vectors.
template <bool kCentred, class T, class Source>
void run_norm(Cuda on, std::int64_t rows, std::int64_t cols, bool aligned,
              const NormTask<T, Source>& task) {
  if (aligned)
    run_norm<kCentred, kVector<T>>(on, rows, cols, task);
  else
    run_norm<kCentred, 1>(on, rows, cols, task);
}

// Rows of `cols` elements can be moved by vectors, at each of these addresses; null ones are.
template <class T, class... Pointers>
bool rows_aligned(std::int64_t cols, Pointers... pointers) {
  return cols % kVector<T> == 0 && (is_aligned(pointers) && ...);
}

}  // namespace fusor::ops::cuda
