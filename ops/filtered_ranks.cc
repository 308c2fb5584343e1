#include "ops/filtered_ranks.h"

#include "ops/filtered_ranks_kernels.h"

namespace fusor::ops {

void filtered_ranks(const Tensor& scores, const Tensor& truth, const Tensor& known,
                    std::int64_t first, const Tensor& counts) {
  require(scores.rank() == 2 && truth.shape() == Shape{scores.dim(0)} &&
              truth.dtype() == scores.dtype() && known.rank() == 2 &&
              known.dim(0) == scores.dim(0) && known.dtype() == DType::i32 &&
              counts.shape() == Shape{scores.dim(0), 2} && counts.dtype() == DType::i64,
          "filtered_ranks: scores ", scores.shape(), ", truth ", truth.shape(), ", known ",
          known.shape(), ", counts ", counts.shape());
  const Cost cost{.flops = 2.0 * static_cast<double>(scores.size()),
                  .bytes = static_cast<double>(scores.bytes() + known.bytes())};
  launch(scores.device(), "filtered_ranks", cost, [&](auto device) {
    on_float(scores.dtype(), [&]<class T> {
      kernels::filtered_ranks(device, {scores.dim(0), scores.dim(1), known.dim(1), first},
                              scores.data<T>(), truth.data<T>(), known.data<std::int32_t>(),
                              counts.data<std::int64_t>());
    });
  });
}

void own_scores(const Tensor& scores, const Tensor& answers, std::int64_t first,
                const Tensor& truth) {
  require(scores.rank() == 2 && answers.shape() == Shape{scores.dim(0)} &&
              answers.dtype() == DType::i32 && truth.shape() == answers.shape() &&
              truth.dtype() == scores.dtype(),
          "own_scores: scores ", scores.shape(), ", answers ", answers.shape(), ", truth ",
          truth.shape());
  const Cost cost{.flops = 0, .bytes = 2.0 * static_cast<double>(truth.bytes())};
  launch(scores.device(), "own_scores", cost, [&](auto device) {
    on_float(scores.dtype(), [&]<class T> {
      kernels::own_scores(device, {scores.dim(0), scores.dim(1), 0, first}, scores.data<T>(),
                          answers.data<std::int32_t>(), truth.data<T>());
    });
  });
}

void rank_sums(const Tensor& counts, const Tensor& answers, const Tensor& sums) {
  const std::int64_t rows = answers.size();
  require(counts.shape() == Shape{rows, 2} && counts.dtype() == DType::i64 &&
              answers.dtype() == DType::i32 && sums.shape() == Shape{kRankSums} &&
              sums.dtype() == DType::f64,
          "rank_sums: counts ", counts.shape(), ", answers ", answers.shape(), ", sums ",
          sums.shape());
  const Cost cost{.flops = 10.0 * static_cast<double>(rows),
                  .bytes = static_cast<double>(counts.bytes() + answers.bytes())};
  launch(counts.device(), "rank_sums", cost, [&](auto device) {
    kernels::rank_sums(device, rows, counts.data<std::int64_t>(), answers.data<std::int32_t>(),
                       sums.data<double>());
  });
}

}  // namespace fusor::ops
