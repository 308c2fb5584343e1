#include "ops/cuda.h"
#include "ops/filtered_ranks.h"
#include "ops/filtered_ranks_kernels.h"

namespace fusor::ops::kernels {
namespace {

constexpr int kThreads = 256;  // of a block, which has a row

template <class T>
__global__ void __launch_bounds__(kThreads)
    ranks_kernel(RanksSize s, const T* scores, const T* truth, const std::int32_t* known,
                 std::int64_t* counts) {
  const std::int64_t r = blockIdx.x;
  const acc_t<T> own = cuda::load(truth[r]);
  const T* const row = scores + r * s.cols;
  std::int64_t better = 0, same = 0;
  for (std::int64_t c = threadIdx.x; c < s.cols; c += kThreads) {
    const acc_t<T> score = cuda::load(row[c]);
    better += !(score <= own);
    same += score == own;
  }
  for (std::int64_t k = threadIdx.x; k < s.known; k += kThreads) {
    const std::int64_t id = known[r * s.known + k], c = id - s.first;
    if (id < 0 || c < 0 || c >= s.cols) continue;
    const acc_t<T> score = cuda::load(row[c]);
    better -= !(score <= own);
    same -= score == own;
  }
  better = cuda::block_sum(better);
  same = cuda::block_sum(same);
  if (threadIdx.x > 0) return;
  counts[2 * r] = better;
  counts[2 * r + 1] = same;
}

template <class T>
__global__ void own_kernel(RanksSize s, const T* scores, const std::int32_t* answers, T* truth) {
  const std::int64_t r = cuda::first_round();
  if (r >= s.rows) return;
  const std::int64_t c = answers[r] - s.first;
  truth[r] = 0 <= c && c < s.cols ? scores[r * s.cols + c] : T{};
}

// One block, so that the order is fixed.
__global__ void sums_kernel(std::int64_t rows, const std::int64_t* counts,
                            const std::int32_t* answers, double* sums) {
  double mine[kRankSums] = {};
  for (std::int64_t r = threadIdx.x; r < rows; r += blockDim.x) {
    if (answers[r] < 0) continue;
    const RankTerms terms(counts + 2 * r);
    for (int i = 0; i < kRankSums; ++i) mine[i] += terms.at[i];
  }
  for (int i = 0; i < kRankSums; ++i) {
    const double sum = cuda::block_sum(mine[i]);
    if (threadIdx.x == 0) sums[i] = sum;
  }
}

}  // namespace

void rank_sums(Cuda on, std::int64_t rows, const std::int64_t* counts, const std::int32_t* answers,
               double* sums) {
  cuda::run(on, {.blocks = 1, .threads = kThreads}, sums_kernel, rows, counts, answers, sums);
}

template <class T>
void filtered_ranks(Cuda on, const RanksSize& s, const T* scores, const T* truth,
                    const std::int32_t* known, std::int64_t* counts) {
  cuda::run(on, {.blocks = s.rows, .threads = kThreads}, ranks_kernel<T>, s, scores, truth, known,
            counts);
}

template <class T>
void own_scores(Cuda on, const RanksSize& s, const T* scores, const std::int32_t* answers,
                T* truth) {
  cuda::run(on, {.blocks = cuda::ceil_div(s.rows, kThreads), .threads = kThreads}, own_kernel<T>, s,
            scores, answers, truth);
}

#define FUSOR_FILTERED_RANKS(T)                                                                 \
  template void filtered_ranks(Cuda, const RanksSize&, const T*, const T*, const std::int32_t*, \
                               std::int64_t*);                                                  \
  template void own_scores(Cuda, const RanksSize&, const T*, const std::int32_t*, T*);
FUSOR_FILTERED_RANKS(double)
FUSOR_FILTERED_RANKS(float)
FUSOR_FILTERED_RANKS(bf16)
FUSOR_FILTERED_RANKS(f16)
#undef FUSOR_FILTERED_RANKS

}  // namespace fusor::ops::kernels
