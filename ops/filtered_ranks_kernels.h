#pragma once
#include <cmath>
#include <cstdint>

#include "runtime/launch.h"

// Defined in filtered_ranks_cpu.cc and filtered_ranks_cuda.cu; see filtered_ranks.h.
namespace fusor::ops::kernels {

// Columns [0, cols) are the candidates from `first` on.
struct RanksSize {
  std::int64_t rows, cols, known, first;
};

template <class T>
void filtered_ranks(Cpu, const RanksSize&, const T* scores, const T* truth,
                    const std::int32_t* known, std::int64_t* counts);
template <class T>
void filtered_ranks(Cuda, const RanksSize&, const T* scores, const T* truth,
                    const std::int32_t* known, std::int64_t* counts);

template <class T>
void own_scores(Cpu, const RanksSize&, const T* scores, const std::int32_t* answers, T* truth);
template <class T>
void own_scores(Cuda, const RanksSize&, const T* scores, const std::int32_t* answers, T* truth);

void rank_sums(Cpu, std::int64_t rows, const std::int64_t* counts, const std::int32_t* answers,
               double* sums);
void rank_sums(Cuda, std::int64_t rows, const std::int64_t* counts, const std::int32_t* answers,
               double* sums);

// What the rank of a query adds to rank_sums' sums.
struct RankTerms {
  double at[6];
  constexpr explicit RankTerms(const std::int64_t* counts)
      : RankTerms(1 + static_cast<double>(counts[0]) + static_cast<double>(counts[1]) / 2) {}
  constexpr explicit RankTerms(double rank)
      : at{std::log(rank),       1 / rank, rank, rank <= 1. ? 1. : 0., rank <= 3. ? 1. : 0.,
           rank <= 10. ? 1. : 0.} {}
};

}  // namespace fusor::ops::kernels
