#include "ops/cross_entropy.h"
#include "ops/cross_entropy_kernels.h"
#include "ops/cuda_log_sum_exp.h"

namespace fusor::ops::kernels {
namespace {

constexpr int kThreads = 512;  // of a block, which has a row of logits

template <class T>
__global__ void __launch_bounds__(kThreads)
    known_kernel(std::int64_t rows, std::int64_t vocab, std::int64_t first, const T* logits,
                 const std::int32_t* targets, double* known) {
  const std::int64_t row = blockIdx.x;
  const T* const x = logits + row * vocab;
  const std::int32_t target = targets[row];
  if (target == kIgnoredTarget) {
    if (threadIdx.x == 0) known[row] = known[rows + row] = 0;
    return;
  }
  const double lse = cuda::block_log_sum_exp<T, kThreads>(x, vocab);
  if (threadIdx.x > 0) return;
  const std::int64_t at = target - first;
  known[row] = lse;
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
    return cuda::for_row<T, kThreads>(
        vocab, x, [&]<int kWidth>(const cuda::Vector<T, kWidth>&, std::int64_t column) {
          write(cuda::Vector<T, kWidth>{}, column);
        });
  const std::int64_t target = targets[row] - first;
  const auto log_sum = static_cast<A>(lse[row]);
  const auto scale = static_cast<A>(*dloss * exp(log_sum - lse[row]));  // undoes its rounding
  const auto at_target = static_cast<A>(*dloss);
  cuda::for_row<T, kThreads>(
      vocab, x, [&]<int kWidth>(cuda::Vector<T, kWidth> at, std::int64_t column) {
        const auto here = static_cast<int>(target - column);
#pragma unroll
        for (int j = 0; j < kWidth; ++j) {
          const A slope = scale * cuda::exp_of<T>(cuda::load(at.at[j]) - log_sum);
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
FUSOR_CROSS_ENTROPY(f16)
#undef FUSOR_CROSS_ENTROPY

}  // namespace fusor::ops::kernels
