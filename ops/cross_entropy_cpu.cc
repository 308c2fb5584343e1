#include <algorithm>
#include <cmath>

#include "ops/cpu.h"
#include "ops/cpu_log_sum_exp.h"
#include "ops/cpu_math.h"
#include "ops/cross_entropy.h"
#include "ops/cross_entropy_kernels.h"

namespace fusor::ops::kernels {

template <class T>
void cross_entropy_known(Cpu, std::int64_t rows, std::int64_t vocab, std::int64_t first,
                         const T* logits, const std::int32_t* targets, double* known) {
  cpu::parallel_for(rows, cpu::row_grain(vocab), [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) {
      const T* x = logits + r * vocab;
      const std::int64_t target = targets[r] - first;
      const bool counts = targets[r] != kIgnoredTarget;
      known[r] = counts ? cpu::log_sum_exp(x, vocab) : 0;
      known[rows + r] = counts && 0 <= target && target < vocab ? cpu::load(x[target]) : 0;
    }
  });
}

void cross_entropy(Cpu, std::int64_t shards, std::int64_t rows, const double* known,
                   const std::int32_t* targets, double* lse, double* loss) {
  *loss = 0;
  for (std::int64_t r = 0; r < rows; ++r) {
    if (targets[r] == kIgnoredTarget) continue;
    double max = known[r], sum = 0, at_target = 0;
    for (std::int64_t s = 1; s < shards; ++s) max = std::max(max, known[2 * s * rows + r]);
    for (std::int64_t s = 0; s < shards; ++s) {
      sum += std::exp(known[2 * s * rows + r] - max);
      at_target += known[(2 * s + 1) * rows + r];
    }
    lse[r] = max + std::log(sum);
    *loss += lse[r] - at_target;
  }
}

template <class T>
void cross_entropy_backward(Cpu, std::int64_t rows, std::int64_t vocab, std::int64_t first,
                            const double* dloss, const std::int32_t* targets, const double* lse,
                            T* logits) {
  using A = acc_t<T>;
  cpu::parallel_for(rows, cpu::row_grain(vocab), [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) {
      T* x = logits + r * vocab;
      if (targets[r] == kIgnoredTarget) {
        std::fill_n(x, vocab, T{});
        continue;
      }
      const auto log_sum = static_cast<A>(lse[r]);
      const auto scale =
          static_cast<A>(*dloss * std::exp(log_sum - lse[r]));  // undoes its rounding
      const auto slope = [=](T logit) { return scale * cpu::exp(cpu::load(logit) - log_sum); };
      const std::int64_t target = targets[r] - first;
      const bool here = 0 <= target && target < vocab;
      const A at_target = here ? slope(x[target]) - static_cast<A>(*dloss) : A{};
#pragma omp simd
      for (std::int64_t i = 0; i < vocab; ++i) cpu::store(x[i], slope(x[i]));
      if (here) cpu::store(x[target], at_target);
    }
  });
}

#define FUSOR_CROSS_ENTROPY(T)                                                               \
  template void cross_entropy_known(Cpu, std::int64_t, std::int64_t, std::int64_t, const T*, \
                                    const std::int32_t*, double*);                           \
  template void cross_entropy_backward(Cpu, std::int64_t, std::int64_t, std::int64_t,        \
                                       const double*, const std::int32_t*, const double*, T*);
FUSOR_CROSS_ENTROPY(double)
FUSOR_CROSS_ENTROPY(float)
FUSOR_CROSS_ENTROPY(bf16)
FUSOR_CROSS_ENTROPY(f16)
#undef FUSOR_CROSS_ENTROPY

}  // namespace fusor::ops::kernels
