#pragma once
#include <algorithm>
#include <cstdint>

#include "ops/sum_rows.h"
#include "runtime/launch.h"

// Defined in batch_norm_cpu.cc and batch_norm_cuda.cu. x, y, residual and their gradients are
// [rows, cols]; A = acc_t<T>. moments [2, cols]: the mean, and the sum of the squared differences
// from it. stats [3, cols]: the mean, 1 / sqrt(variance + eps), and the unbiased variance.
namespace fusor::ops::kernels {

// Rows whose moments, or sums, are taken at once: on a CPU as many as stay in a core's cache.
constexpr std::int64_t batch_norm_block(DeviceKind kind, std::int64_t rows, std::int64_t cols) {
  constexpr std::int64_t kElements = 1 << 14;
  if (kind == DeviceKind::cuda) return row_block(kind, rows);
  return std::max<std::int64_t>(kElements / cols, 8);
}
constexpr std::int64_t num_batch_norm_blocks(DeviceKind kind, std::int64_t rows,
                                             std::int64_t cols) {
  const std::int64_t block = batch_norm_block(kind, rows, cols);
  return (rows + block - 1) / block;
}

// moments [blocks, 2, cols] of each block of rows
template <class T, class A>
void batch_norm_moments(Cpu, std::int64_t rows, std::int64_t cols, const T* x, A* moments);
template <class T, class A>
void batch_norm_moments(Cuda, std::int64_t rows, std::int64_t cols, const T* x, A* moments);

// to [2, cols]: the moments of `rows` rows from those of parts [parts, 2, cols], of `block` rows
// each, the last of what is left.
template <class A>
void combine_moments(Cpu, std::int64_t rows, std::int64_t block, std::int64_t cols, const A* parts,
                     A* to);
template <class A>
void combine_moments(Cuda, std::int64_t rows, std::int64_t block, std::int64_t cols, const A* parts,
                     A* to);

// stats of `rows` rows with these moments; or of a running mean and variance [cols].
template <class A>
void batch_norm_stats(Cpu, std::int64_t rows, std::int64_t cols, double eps, const A* moments,
                      A* stats);
template <class A>
void batch_norm_stats(Cuda, std::int64_t rows, std::int64_t cols, double eps, const A* moments,
                      A* stats);
template <class T, class A>
void batch_norm_running_stats(Cpu, std::int64_t cols, double eps, const T* mean, const T* variance,
                              A* stats);
template <class T, class A>
void batch_norm_running_stats(Cuda, std::int64_t cols, double eps, const T* mean, const T* variance,
                              A* stats);

// What turns x into y.
template <class T>
struct BatchNormScale {
  const acc_t<T>* stats;
  const T *gain, *bias;
  bool relu;
};

// y = (x - mean) rstd gain + bias + residual, which may be null; then the ReLU.
template <class T>
void batch_norm(Cpu, std::int64_t rows, std::int64_t cols, const BatchNormScale<T>&, const T* x,
                const T* residual, T* y);
template <class T>
void batch_norm(Cuda, std::int64_t rows, std::int64_t cols, const BatchNormScale<T>&, const T* x,
                const T* residual, T* y);

// With z = (x - mean) rstd and g = dy, or 0 where a ReLU without residual gave 0:
// sums [blocks, 2, cols] of g and of g z over each block of rows
template <class T, class A>
void batch_norm_sums(Cpu, std::int64_t rows, std::int64_t cols, const BatchNormScale<T>&,
                     const T* dy, const T* x, A* sums);
template <class T, class A>
void batch_norm_sums(Cuda, std::int64_t rows, std::int64_t cols, const BatchNormScale<T>&,
                     const T* dy, const T* x, A* sums);
// dx = (add ? dx : 0) + gain rstd (g - sums[0] / count - z sums[1] / count); sums [2, cols], or
// null where mean and variance do not depend on x.
template <class T, class A>
void batch_norm_backward(Cpu, std::int64_t rows, std::int64_t cols, const BatchNormScale<T>&,
                         const T* dy, const T* x, const A* sums, std::int64_t count, T* dx,
                         bool add);
template <class T, class A>
void batch_norm_backward(Cuda, std::int64_t rows, std::int64_t cols, const BatchNormScale<T>&,
                         const T* dy, const T* x, const A* sums, std::int64_t count, T* dx,
                         bool add);

}  // namespace fusor::ops::kernels
