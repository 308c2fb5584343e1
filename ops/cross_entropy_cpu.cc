#include <algorithm>
#include <cmath>
#include <limits>

#include "ops/cpu.h"
#include "ops/cpu_math.h"
#include "ops/cross_entropy.h"
#include "ops/cross_entropy_kernels.h"

namespace fusor::ops::kernels {
namespace {

// The row comes from memory once: each chunk's maximum is found, then its exponentials are summed
// while it lies in the cache.
template <class T>
double log_sum_exp(const T* x, std::int64_t n) {
  using A = acc_t<T>;
  constexpr std::int64_t kChunk = 2048;
  A max = std::numeric_limits<A>::lowest();  // not -inf, which would turn logits of -inf into NaN
  double sum = 0;
  for (std::int64_t begin = 0; begin < n; begin += kChunk) {
    const std::int64_t end = std::min(begin + kChunk, n);
    A top = max, part = 0;
#pragma omp simd reduction(max : top)
    for (std::int64_t i = begin; i < end; ++i) top = std::max(top, cpu::load(x[i]));
#pragma omp simd reduction(+ : part)
    for (std::int64_t i = begin; i < end; ++i) part += cpu::exp(cpu::load(x[i]) - top);
    sum = sum * std::exp(static_cast<double>(max) - static_cast<double>(top)) + part;
    max = top;
  }
  return max + std::log(sum);
}

}  // namespace

template <class T>
void cross_entropy(Cpu, std::int64_t rows, std::int64_t vocab, const T* logits,
                   const std::int32_t* targets, double* lse, double* loss) {
  cpu::parallel_for(rows, cpu::row_grain(vocab), [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r)
      if (targets[r] != kIgnoredTarget) lse[r] = log_sum_exp(logits + r * vocab, vocab);
  });
  *loss = 0;
  for (std::int64_t r = 0; r < rows; ++r)
    if (targets[r] != kIgnoredTarget) *loss += lse[r] - cpu::load(logits[r * vocab + targets[r]]);
}

template <class T>
void cross_entropy_backward(Cpu, std::int64_t rows, std::int64_t vocab, const double* dloss,
                            const std::int32_t* targets, const double* lse, T* logits) {
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
      T& target = x[targets[r]];
      const A at_target = scale * cpu::exp(cpu::load(target) - log_sum) - static_cast<A>(*dloss);
#pragma omp simd
      for (std::int64_t i = 0; i < vocab; ++i)
        cpu::store(x[i], scale * cpu::exp(cpu::load(x[i]) - log_sum));
      cpu::store(target, at_target);
    }
  });
}

#define FUSOR_CROSS_ENTROPY(T)                                                                \
  template void cross_entropy(Cpu, std::int64_t, std::int64_t, const T*, const std::int32_t*, \
                              double*, double*);                                              \
  template void cross_entropy_backward(Cpu, std::int64_t, std::int64_t, const double*,        \
                                       const std::int32_t*, const double*, T*);
FUSOR_CROSS_ENTROPY(double)
FUSOR_CROSS_ENTROPY(float)
FUSOR_CROSS_ENTROPY(bf16)
#undef FUSOR_CROSS_ENTROPY

}  // namespace fusor::ops::kernels
