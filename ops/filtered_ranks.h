#pragma once
#include "runtime/tensor.h"

namespace fusor::ops {

// How the candidates of this rank stand to the true answer of each query, without those known to be
// true as well:
//   counts[i, 0] = candidates that score better than truth[i]
//   counts[i, 1] = those that score the same, the true answer not counted
// Added over the ranks that share the candidates, rank 1 + better + same / 2 is the mean of the
// answer's best and worst place among its equals. A score that is not a number is better.
// scores [N, V]: column v is candidate first + v   truth [N], of scores' dtype
// known i32 [N, K]: candidates, each once, the true one among them; -1: none
// counts i64 [N, 2]
void filtered_ranks(const Tensor& scores, const Tensor& truth, const Tensor& known,
                    std::int64_t first, const Tensor& counts);

// truth[i] = scores[i, answers[i] - first], 0 where that column lies on another rank, so that the
// sum over ranks is each answer's own score.   answers i32 [N]
void own_scores(const Tensor& scores, const Tensor& answers, std::int64_t first,
                const Tensor& truth);

// What ranks come to, added over the queries i with answers[i] >= 0:
//   sums[0] ln rank   [1] 1 / rank   [2] rank   [3] [4] [5] whether it is at most 1, 3, 10
// counts i64 [N, 2], as above and added over ranks   sums f64 [kRankSums]
inline constexpr std::int64_t kRankSums = 6;
void rank_sums(const Tensor& counts, const Tensor& answers, const Tensor& sums);

}  // namespace fusor::ops
