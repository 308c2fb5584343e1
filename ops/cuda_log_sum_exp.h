#pragma once
#include "ops/cuda.h"

namespace fusor::ops::cuda {

// Of logits of 16 bits the exponential need not be better than they are.
template <class T>
__device__ double exp_of(double x) {
  return exp(x);
}
template <class T>
__device__ float exp_of(float x) {
  if constexpr (is_half(dtype_of<T>))
    return __expf(x);
  else
    return expf(x);
}

// Calls f(vector or element, its first column) for this thread's share of a row, of a block of
// kThreads: the elements before the first 16-byte boundary, the vectors, and what is left.
template <class T, int kThreads, class Row, class F>
__device__ void for_row(std::int64_t n, Row* row, F&& f) {
  constexpr int kWidth = kVector<T>, kAtOnce = 4;
  using Pack = Vector<T, kWidth>;
  using Element = Vector<T, 1>;
  const auto misplaced =
      static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(row) % sizeof(Pack) / sizeof(T));
  const std::int64_t head = min(n, (kWidth - misplaced) % kWidth), vectors = (n - head) / kWidth,
                     tail = head + vectors * kWidth;
  const auto* const packs = reinterpret_cast<const Pack*>(row + head);
  const auto* const elements = reinterpret_cast<const Element*>(row);
  const std::int64_t thread = threadIdx.x;
  if (thread < head) f(elements[thread], thread);
  for (std::int64_t first = thread; first < vectors; first += kAtOnce * kThreads) {
    Pack x[kAtOnce];
#pragma unroll
    for (int i = 0; i < kAtOnce; ++i)
      if (first + i * kThreads < vectors) x[i] = packs[first + i * kThreads];
#pragma unroll
    for (int i = 0; i < kAtOnce; ++i)
      if (first + i * kThreads < vectors) f(x[i], head + (first + i * kThreads) * kWidth);
  }
  if (tail + thread < n) f(elements[tail + thread], tail + thread);
}

// sum e^(x - max) over the elements seen, in one pass: a new maximum scales the sum so far. Sums
// begin at the lowest number, not at -inf, which would turn logits of -inf into NaN.
template <class T>
struct OnlineSum {
  using A = acc_t<T>;
  A max = std::numeric_limits<A>::lowest(), sum = 0;

  template <int kWidth>
  __device__ void add(const Vector<T, kWidth>& x) {
    A top = max;
#pragma unroll
    for (int j = 0; j < kWidth; ++j) top = Max()(top, load(x.at[j]));
    if (top > max) {
      sum *= exp_of<T>(max - top);
      max = top;
    }
#pragma unroll
    for (int j = 0; j < kWidth; ++j) sum += exp_of<T>(load(x.at[j]) - max);
  }
};

// log sum_i e^row[i], in every thread of a block of kThreads.
template <class T, int kThreads>
__device__ double block_log_sum_exp(const T* row, std::int64_t n) {
  using A = acc_t<T>;
  OnlineSum<T> mine;
  for_row<T, kThreads>(n, row, [&](const auto& at, std::int64_t) { mine.add(at); });
  const A max = block_reduce(mine.max, std::numeric_limits<A>::lowest(), Max());
  const double sum = block_sum(static_cast<double>(mine.sum * exp_of<A>(mine.max - max)));
  return static_cast<double>(max) + log(sum);
}

}  // namespace fusor::ops::cuda
