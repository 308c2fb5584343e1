#include "ops/cuda_total.h"
#include "ops/ranking_loss_kernels.h"
#include "ops/ranking_loss_math.h"

namespace fusor::ops::kernels {
namespace {

constexpr int kThreads = 128;  // of a block, which has a row

template <class T>
__device__ double number(T x) {
  return static_cast<double>(cuda::load(x));
}

template <class T>
__device__ RankingRow row_of(const RankingSize& s, const T* positive, std::int64_t i) {
  return {s.loss, static_cast<double>(s.k), number(positive[i])};
}

// See the CPU's; in every thread.
template <class T>
__device__ double log_sum_exp(const RankingRow& row, const T* negative, std::int64_t k) {
  const bool with_positive = row.loss.kind == Ranking::softmax;
  double max = with_positive ? row.p : row.exponent(number(negative[0]));
  for (std::int64_t j = threadIdx.x; j < k; j += kThreads)
    max = cuda::Max()(max, row.exponent(number(negative[j])));
  max = cuda::block_max(max);
  double sum = with_positive && threadIdx.x == 0 ? exp(row.p - max) : 0;
  for (std::int64_t j = threadIdx.x; j < k; j += kThreads)
    sum += exp(row.exponent(number(negative[j])) - max);
  return max + log(cuda::block_sum(sum));
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    rows_kernel(RankingSize s, const T* positive, const T* negative, double* known) {
  const std::int64_t i = blockIdx.x;
  const T* const n = negative + i * s.k;
  RankingRow row = row_of(s, positive, i);
  if (row.reads_lse()) row.lse = log_sum_exp(row, n, s.k);
  double sum = 0;
  for (std::int64_t j = threadIdx.x; j < s.k; j += kThreads)
    sum += row.negative_share(number(n[j]));
  sum = cuda::block_sum(sum);
  if (threadIdx.x > 0) return;
  known[i] = row.positive_share() + sum;
  known[s.n + i] = row.lse;
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    backward_kernel(RankingSize s, const double* dloss, const double* known, const T* positive,
                    const T* negative, T* dpositive, T* dnegative) {
  using A = acc_t<T>;
  const std::int64_t i = blockIdx.x;
  RankingRow row = row_of(s, positive, i);
  row.lse = known[s.n + i];
  double sum = 0;
  for (std::int64_t j = threadIdx.x; j < s.k; j += kThreads) {
    const double slope = row.negative_slope(number(negative[i * s.k + j]));
    sum += slope;
    cuda::store(dnegative[i * s.k + j], static_cast<A>(*dloss * slope));
  }
  sum = cuda::block_sum(sum);
  if (threadIdx.x == 0) cuda::store(dpositive[i], static_cast<A>(*dloss * row.positive_slope(sum)));
}

}  // namespace

template <class T>
void ranking_loss(Cuda on, const RankingSize& s, const T* positive, const T* negative,
                  double* known, double* loss) {
  cuda::run(on, {.blocks = s.n, .threads = kThreads}, rows_kernel<T>, s, positive, negative, known);
  cuda::total(on, s.n, known, loss);
}

template <class T>
void ranking_loss_backward(Cuda on, const RankingSize& s, const double* dloss, const double* known,
                           const T* positive, const T* negative, T* dpositive, T* dnegative) {
  cuda::run(on, {.blocks = s.n, .threads = kThreads}, backward_kernel<T>, s, dloss, known, positive,
            negative, dpositive, dnegative);
}

#define FUSOR_RANKING_LOSS(T)                                                                 \
  template void ranking_loss(Cuda, const RankingSize&, const T*, const T*, double*, double*); \
  template void ranking_loss_backward(Cuda, const RankingSize&, const double*, const double*, \
                                      const T*, const T*, T*, T*);
FUSOR_RANKING_LOSS(double)
FUSOR_RANKING_LOSS(float)
FUSOR_RANKING_LOSS(bf16)
FUSOR_RANKING_LOSS(f16)
#undef FUSOR_RANKING_LOSS

}  // namespace fusor::ops::kernels
