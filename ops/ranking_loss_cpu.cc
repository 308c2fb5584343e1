#include <algorithm>

#include "ops/cpu.h"
#include "ops/ranking_loss_kernels.h"
#include "ops/ranking_loss_math.h"

namespace fusor::ops::kernels {
namespace {

// Of exponent(n) over the negatives; for softmax, and of the positive.
template <class T>
double log_sum_exp(const RankingRow& row, const T* negative, std::int64_t k) {
  const auto at = [&](std::int64_t j) {
    return row.exponent(static_cast<double>(cpu::load(negative[j])));
  };
  const bool with_positive = row.loss.kind == Ranking::softmax;
  double max = with_positive ? row.p : at(0);
  for (std::int64_t j = 0; j < k; ++j) max = std::max(max, at(j));
  double sum = with_positive ? std::exp(row.p - max) : 0;
  for (std::int64_t j = 0; j < k; ++j) sum += std::exp(at(j) - max);
  return max + std::log(sum);
}

RankingRow row_of(const RankingSize& s, double positive) {
  return {s.loss, static_cast<double>(s.k), positive};
}

}  // namespace

template <class T>
void ranking_loss(Cpu, const RankingSize& s, const T* positive, const T* negative, double* known,
                  double* loss) {
  cpu::parallel_for(s.n, cpu::row_grain(8 * s.k), [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      RankingRow row = row_of(s, static_cast<double>(cpu::load(positive[i])));
      const T* const n = negative + i * s.k;
      row.lse = row.reads_lse() ? log_sum_exp(row, n, s.k) : 0;
      double sum = row.positive_share();
      for (std::int64_t j = 0; j < s.k; ++j)
        sum += row.negative_share(static_cast<double>(cpu::load(n[j])));
      known[i] = sum;
      known[s.n + i] = row.lse;
    }
  });
  *loss = 0;
  for (std::int64_t i = 0; i < s.n; ++i) *loss += known[i];
}

template <class T>
void ranking_loss_backward(Cpu, const RankingSize& s, const double* dloss, const double* known,
                           const T* positive, const T* negative, T* dpositive, T* dnegative) {
  using A = acc_t<T>;
  cpu::parallel_for(s.n, cpu::row_grain(8 * s.k), [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      RankingRow row = row_of(s, static_cast<double>(cpu::load(positive[i])));
      row.lse = known[s.n + i];
      double sum = 0;
      for (std::int64_t e = i * s.k; e < (i + 1) * s.k; ++e) {
        const double slope = row.negative_slope(static_cast<double>(cpu::load(negative[e])));
        sum += slope;
        cpu::store(dnegative[e], static_cast<A>(*dloss * slope));
      }
      cpu::store(dpositive[i], static_cast<A>(*dloss * row.positive_slope(sum)));
    }
  });
}

#define FUSOR_RANKING_LOSS(T)                                                                \
  template void ranking_loss(Cpu, const RankingSize&, const T*, const T*, double*, double*); \
  template void ranking_loss_backward(Cpu, const RankingSize&, const double*, const double*, \
                                      const T*, const T*, T*, T*);
FUSOR_RANKING_LOSS(double)
FUSOR_RANKING_LOSS(float)
FUSOR_RANKING_LOSS(bf16)
FUSOR_RANKING_LOSS(f16)
#undef FUSOR_RANKING_LOSS

}  // namespace fusor::ops::kernels
