#include <algorithm>

#include "ops/cpu.h"
#include "ops/filtered_ranks.h"
#include "ops/filtered_ranks_kernels.h"

namespace fusor::ops::kernels {

template <class T>
void filtered_ranks(Cpu, const RanksSize& s, const T* scores, const T* truth,
                    const std::int32_t* known, std::int64_t* counts) {
  cpu::parallel_for(s.rows, cpu::row_grain(s.cols), [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) {
      const acc_t<T> own = cpu::load(truth[r]);
      const T* const row = scores + r * s.cols;
      std::int64_t better = 0, same = 0;
#pragma omp simd reduction(+ : better, same)
      for (std::int64_t c = 0; c < s.cols; ++c) {
        const acc_t<T> score = cpu::load(row[c]);
        better += !(score <= own);
        same += score == own;
      }
      for (std::int64_t k = 0; k < s.known; ++k) {
        const std::int64_t c = known[r * s.known + k] - s.first;
        if (known[r * s.known + k] < 0 || c < 0 || c >= s.cols) continue;
        better -= !(cpu::load(row[c]) <= own);
        same -= cpu::load(row[c]) == own;
      }
      counts[2 * r] = better;
      counts[2 * r + 1] = same;
    }
  });
}

template <class T>
void own_scores(Cpu, const RanksSize& s, const T* scores, const std::int32_t* answers, T* truth) {
  for (std::int64_t r = 0; r < s.rows; ++r) {
    const std::int64_t c = answers[r] - s.first;
    truth[r] = 0 <= c && c < s.cols ? scores[r * s.cols + c] : T{};
  }
}

void rank_sums(Cpu, std::int64_t rows, const std::int64_t* counts, const std::int32_t* answers,
               double* sums) {
  std::fill_n(sums, kRankSums, 0);
  for (std::int64_t r = 0; r < rows; ++r) {
    if (answers[r] < 0) continue;
    const RankTerms terms(counts + 2 * r);
    for (int i = 0; i < kRankSums; ++i) sums[i] += terms.at[i];
  }
}

#define FUSOR_FILTERED_RANKS(T)                                                                \
  template void filtered_ranks(Cpu, const RanksSize&, const T*, const T*, const std::int32_t*, \
                               std::int64_t*);                                                 \
  template void own_scores(Cpu, const RanksSize&, const T*, const std::int32_t*, T*);
FUSOR_FILTERED_RANKS(double)
FUSOR_FILTERED_RANKS(float)
FUSOR_FILTERED_RANKS(bf16)
FUSOR_FILTERED_RANKS(f16)
#undef FUSOR_FILTERED_RANKS

}  // namespace fusor::ops::kernels
