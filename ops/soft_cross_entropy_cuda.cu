#include "ops/cuda_log_sum_exp.h"
#include "ops/cuda_map.h"
#include "ops/soft_cross_entropy.h"
#include "ops/soft_cross_entropy_kernels.h"

namespace fusor::ops::kernels {
namespace {

constexpr int kThreads = 128;  // of a block, which has a row

template <class T>
__global__ void __launch_bounds__(kThreads)
    loss_kernel(std::int64_t rows, std::int64_t cols, const T* logits, const float* targets,
                double* of_rows) {
  const std::int64_t row = blockIdx.x;
  const T* const x = logits + row * cols;
  const float* const t = targets + row * cols;
  double share = 0, product = 0;
  for (std::int64_t c = threadIdx.x; c < cols; c += kThreads) {
    share += t[c];
    product += t[c] * static_cast<double>(cuda::load(x[c]));
  }
  share = cuda::block_sum(share);
  product = cuda::block_sum(product);
  const double lse = cuda::block_log_sum_exp<T, kThreads>(x, cols);
  if (threadIdx.x > 0) return;
  of_rows[row] = lse;
  of_rows[rows + row] = share;
  of_rows[2 * rows + row] = lse * share - product;
}

template <class T>
struct Backward {
  std::int64_t rows, cols;
  const double* dloss;
  const T* logits;
  const float* targets;
  const double* of_rows;
  T* dx;
  bool add;
  template <int>
  __device__ void at(std::int64_t row, std::int64_t c) const {
    using A = acc_t<T>;
    const std::int64_t i = row * cols + c;
    const auto lse = static_cast<A>(of_rows[row]), share = static_cast<A>(of_rows[rows + row]);
    const A p = cuda::exp_of<T>(cuda::load(logits[i]) - lse);
    cuda::put(add, dx[i], static_cast<A>(*dloss) * (p * share - targets[i]));
  }
};

struct Targets {
  std::int64_t cols;
  LabelArrays of;
  float each, whole;
  float* targets;
  template <int>
  __device__ void at(std::int64_t row, std::int64_t c) const {
    const std::int32_t label = of.labels[row];
    const float share = of.shares ? of.shares[row] : 1;
    float t = each;
    if (c == label) t += whole * share;
    if (of.others && c == of.others[row]) t += whole * (1 - share);
    targets[row * cols + c] = label == kIgnoredTarget ? 0 : t;
  }
};

template <class T>
__global__ void __launch_bounds__(kThreads)
    ranks_kernel(std::int64_t cols, const T* logits, const std::int32_t* labels,
                 std::int32_t* ranks) {
  const std::int64_t row = blockIdx.x;
  const T* const x = logits + row * cols;
  const std::int32_t label = labels[row];
  int rank = 0;
  if (label != kIgnoredTarget) {
    const acc_t<T> own = cuda::load(x[label]);
    for (std::int64_t c = threadIdx.x; c < cols; c += kThreads) {
      const acc_t<T> other = cuda::load(x[c]);
      rank += c != label && !(other < own || (other == own && c > label));  // as on the CPU
    }
  }
  rank = cuda::block_sum(rank);
  if (threadIdx.x == 0)
    ranks[row] = label == kIgnoredTarget ? static_cast<std::int32_t>(cols) : rank;
}

__global__ void __launch_bounds__(kThreads)
    count_kernel(std::int64_t rows, const std::int32_t* ranks, std::int64_t k, double* count) {
  int below = 0;
  for (std::int64_t r = threadIdx.x; r < rows; r += kThreads) below += ranks[r] < k;
  below = cuda::block_sum(below);
  if (threadIdx.x == 0) *count = below;
}

}  // namespace

template <class T>
void soft_cross_entropy(Cuda on, std::int64_t rows, std::int64_t cols, const T* logits,
                        const float* targets, double* of_rows) {
  cuda::run(on, {.blocks = rows, .threads = kThreads}, loss_kernel<T>, rows, cols, logits, targets,
            of_rows);
}

template <class T>
void soft_cross_entropy_backward(Cuda on, std::int64_t rows, std::int64_t cols, const double* dloss,
                                 const T* logits, const float* targets, const double* of_rows,
                                 T* dx, bool add) {
  cuda::for_rows<1>(on, rows, cols, false,
                    Backward<T>{rows, cols, dloss, logits, targets, of_rows, dx, add});
}

void soft_targets(Cuda on, std::int64_t rows, std::int64_t cols, const LabelArrays& of,
                  double smoothing, float* targets) {
  cuda::for_rows<1>(on, rows, cols, false,
                    Targets{cols, of, static_cast<float>(smoothing / static_cast<double>(cols)),
                            static_cast<float>(1 - smoothing), targets});
}

template <class T>
void label_ranks(Cuda on, std::int64_t rows, std::int64_t cols, const T* logits,
                 const std::int32_t* labels, std::int32_t* ranks) {
  cuda::run(on, {.blocks = rows, .threads = kThreads}, ranks_kernel<T>, cols, logits, labels,
            ranks);
}

void count_below(Cuda on, std::int64_t rows, const std::int32_t* ranks, std::int64_t k,
                 double* count) {
  cuda::run(on, {.blocks = 1, .threads = kThreads}, count_kernel, rows, ranks, k, count);
}

#define FUSOR_SOFT_CROSS_ENTROPY(T)                                                           \
  template void soft_cross_entropy(Cuda, std::int64_t, std::int64_t, const T*, const float*,  \
                                   double*);                                                  \
  template void soft_cross_entropy_backward(Cuda, std::int64_t, std::int64_t, const double*,  \
                                            const T*, const float*, const double*, T*, bool); \
  template void label_ranks(Cuda, std::int64_t, std::int64_t, const T*, const std::int32_t*,  \
                            std::int32_t*);
FUSOR_SOFT_CROSS_ENTROPY(double)
FUSOR_SOFT_CROSS_ENTROPY(float)
FUSOR_SOFT_CROSS_ENTROPY(bf16)
FUSOR_SOFT_CROSS_ENTROPY(f16)
#undef FUSOR_SOFT_CROSS_ENTROPY

}  // namespace fusor::ops::kernels
