#include "ops/cross_entropy.h"
#include "ops/cross_entropy_kernels.h"
#include "ops/cuda.h"

namespace fusor::ops::kernels {
namespace {

constexpr int kThreads = 512;  // of a block, which has a row of logits

// Of logits in bf16 the exponential need not be better than they are.
template <class T>
__device__ double exp_of(double x) {
  return exp(x);
}
template <class T>
__device__ float exp_of(float x) {
  if constexpr (std::is_same_v<T, bf16>)
    return __expf(x);
  else
    return expf(x);
}

// Calls f(vector or element, its first column) for this thread's share of a row: the elements
// before the first 16-byte boundary, the vectors, and what is left.
template <class T, class Row, class F>
__device__ void for_row(std::int64_t n, Row* row, F&& f) {
  constexpr int kWidth = cuda::kVector<T>, kAtOnce = 4;
  using Pack = cuda::Vector<T, kWidth>;
  using Element = cuda::Vector<T, 1>;
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
  __device__ void add(const cuda::Vector<T, kWidth>& x) {
    A top = max;
#pragma unroll
    for (int j = 0; j < kWidth; ++j) top = cuda::Max()(top, cuda::load(x.at[j]));
    if (top > max) {
      sum *= exp_of<T>(max - top);
      max = top;
    }
#pragma unroll
    for (int j = 0; j < kWidth; ++j) sum += exp_of<T>(cuda::load(x.at[j]) - max);
  }
};

template <class T>
__global__ void __launch_bounds__(kThreads)
    known_kernel(std::int64_t rows, std::int64_t vocab, std::int64_t first, const T* logits,
                 const std::int32_t* targets, double* known) {
  using A = acc_t<T>;
  const std::int64_t row = blockIdx.x;
  const T* const x = logits + row * vocab;
  const std::int32_t target = targets[row];
  if (target == kIgnoredTarget) {
    if (threadIdx.x == 0) known[row] = known[rows + row] = 0;
    return;
  }
  OnlineSum<T> mine;
  for_row<T>(vocab, x, [&](const auto& at, std::int64_t) { mine.add(at); });
  const A max = cuda::block_reduce(mine.max, std::numeric_limits<A>::lowest(), cuda::Max());
  const double sum = cuda::block_sum(static_cast<double>(mine.sum * exp_of<A>(mine.max - max)));
  if (threadIdx.x > 0) return;
  const std::int64_t at = target - first;
  known[row] = static_cast<double>(max) + log(sum);
  known[rows + row] = 0 <= at && at < vocab ? static_cast<double>(cuda::load(x[at])) : 0;
}

// lse of each row, over all shards.
__global__ void lse_kernel(std::int64_t shards, std::int64_t rows, const double* known,
                           const std::int32_t* targets, double* lse) {
  const std::int64_t row = cuda::first_round();
  if (row >= rows || targets[row] == kIgnoredTarget) return;
  double max = known[row], sum = 0;
  for (std::int64_t s = 1; s < shards; ++s) max = cuda::Max()(max, known[2 * s * rows + row]);
  for (std::int64_t s = 0; s < shards; ++s) sum += exp(known[2 * s * rows + row] - max);
  lse[row] = max + log(sum);
}

// The sum of the rows' losses. One block, so that the order is fixed.
__global__ void loss_kernel(std::int64_t shards, std::int64_t rows, const double* known,
                            const std::int32_t* targets, const double* lse, double* loss) {
  double sum = 0;
  for (std::int64_t row = threadIdx.x; row < rows; row += blockDim.x) {
    if (targets[row] == kIgnoredTarget) continue;
    double at_target = 0;
    for (std::int64_t s = 0; s < shards; ++s) at_target += known[(2 * s + 1) * rows + row];
    sum += lse[row] - at_target;
  }
  sum = cuda::block_sum(sum);
  if (threadIdx.x == 0) *loss = sum;
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    backward_kernel(std::int64_t vocab, std::int64_t first, const double* dloss,
                    const std::int32_t* targets, const double* lse, T* logits) {
  using A = acc_t<T>;
  const std::int64_t row = blockIdx.x;
  T* const x = logits + row * vocab;
  const auto write = [x]<int kWidth>(const cuda::Vector<T, kWidth>& d, std::int64_t column) {
    *reinterpret_cast<cuda::Vector<T, kWidth>*>(x + column) = d;
  };
  if (targets[row] == kIgnoredTarget)
    return for_row<T>(vocab, x,
                      [&]<int kWidth>(const cuda::Vector<T, kWidth>&, std::int64_t column) {
                        write(cuda::Vector<T, kWidth>{}, column);
                      });
  const std::int64_t target = targets[row] - first;
  const auto log_sum = static_cast<A>(lse[row]);
  const auto scale = static_cast<A>(*dloss * exp(log_sum - lse[row]));  // undoes its rounding
  const auto at_target = static_cast<A>(*dloss);
  for_row<T>(vocab, x, [&]<int kWidth>(cuda::Vector<T, kWidth> at, std::int64_t column) {
    const auto here = static_cast<int>(target - column);
#pragma unroll
    for (int j = 0; j < kWidth; ++j) {
      const A slope = scale * exp_of<T>(cuda::load(at.at[j]) - log_sum);
      cuda::store(at.at[j], j == here ? slope - at_target : slope);
    }
    write(at, column);
  });
}

}  // namespace

template <class T>
void cross_entropy_known(Cuda on, std::int64_t rows, std::int64_t vocab, std::int64_t first,
                         const T* logits, const std::int32_t* targets, double* known) {
  cuda::run(on, {.blocks = rows, .threads = kThreads}, known_kernel<T>, rows, vocab, first, logits,
            targets, known);
}

void cross_entropy(Cuda on, std::int64_t shards, std::int64_t rows, const double* known,
                   const std::int32_t* targets, double* lse, double* loss) {
  constexpr int kOfRows = 128, kOfLoss = 1024;
  cuda::run(on, {.blocks = cuda::ceil_div(rows, kOfRows), .threads = kOfRows}, lse_kernel, shards,
            rows, known, targets, lse);
  cuda::run(on, {.blocks = 1, .threads = kOfLoss}, loss_kernel, shards, rows, known, targets, lse,
            loss);
}

template <class T>
void cross_entropy_backward(Cuda on, std::int64_t rows, std::int64_t vocab, std::int64_t first,
                            const double* dloss, const std::int32_t* targets, const double* lse,
                            T* logits) {
  cuda::run(on, {.blocks = rows, .threads = kThreads}, backward_kernel<T>, vocab, first, dloss,
            targets, lse, logits);
}

#define FUSOR_CROSS_ENTROPY(T)                                                                \
  template void cross_entropy_known(Cuda, std::int64_t, std::int64_t, std::int64_t, const T*, \
                                    const std::int32_t*, double*);                            \
  template void cross_entropy_backward(Cuda, std::int64_t, std::int64_t, std::int64_t,        \
                                       const double*, const std::int32_t*, const double*, T*);
FUSOR_CROSS_ENTROPY(double)
FUSOR_CROSS_ENTROPY(float)
FUSOR_CROSS_ENTROPY(bf16)
#undef FUSOR_CROSS_ENTROPY

}  // namespace fusor::ops::kernels
