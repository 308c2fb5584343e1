#include <algorithm>

#include "ops/cpu.h"
#include "ops/cpu_log_sum_exp.h"
#include "ops/cpu_math.h"
#include "ops/soft_cross_entropy.h"
#include "ops/soft_cross_entropy_kernels.h"

namespace fusor::ops::kernels {

template <class T>
void soft_cross_entropy(Cpu, std::int64_t rows, std::int64_t cols, const T* logits,
                        const float* targets, double* of_rows) {
  cpu::parallel_for(rows, cpu::row_grain(cols), [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) {
      const T* const x = logits + r * cols;
      const float* const t = targets + r * cols;
      double share = 0, product = 0;
      for (std::int64_t c = 0; c < cols; ++c) {
        share += t[c];
        product += t[c] * static_cast<double>(cpu::load(x[c]));
      }
      of_rows[r] = cpu::log_sum_exp(x, cols);
      of_rows[rows + r] = share;
      of_rows[2 * rows + r] = of_rows[r] * share - product;
    }
  });
}

template <class T>
void soft_cross_entropy_backward(Cpu, std::int64_t rows, std::int64_t cols, const double* dloss,
                                 const T* logits, const float* targets, const double* of_rows,
                                 T* dx, bool add) {
  using A = acc_t<T>;
  const auto slope = static_cast<A>(*dloss);
  cpu::parallel_for(rows, cpu::row_grain(cols), [=](std::int64_t begin, std::int64_t end) {
    cpu::with_constant(add, [=](auto accumulate) {
      for (std::int64_t r = begin; r < end; ++r) {
        const auto lse = static_cast<A>(of_rows[r]), share = static_cast<A>(of_rows[rows + r]);
        const std::int64_t at = r * cols;
#pragma omp simd
        for (std::int64_t c = 0; c < cols; ++c)
          cpu::put(accumulate, dx[at + c],
                   slope * (cpu::exp(cpu::load(logits[at + c]) - lse) * share - targets[at + c]));
      }
    });
  });
}

void soft_targets(Cpu, std::int64_t rows, std::int64_t cols, const LabelArrays& of,
                  double smoothing, float* targets) {
  for (std::int64_t r = 0; r < rows; ++r) {
    float* const t = targets + r * cols;
    const bool counts = of.labels[r] != kIgnoredTarget;
    std::fill_n(t, cols, counts ? static_cast<float>(smoothing / static_cast<double>(cols)) : 0);
    if (!counts) continue;
    const float whole = static_cast<float>(1 - smoothing), share = of.shares ? of.shares[r] : 1;
    t[of.labels[r]] += whole * share;
    if (of.others) t[of.others[r]] += whole * (1 - share);
  }
}

template <class T>
void label_ranks(Cpu, std::int64_t rows, std::int64_t cols, const T* logits,
                 const std::int32_t* labels, std::int32_t* ranks) {
  cpu::parallel_for(rows, cpu::row_grain(cols), [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) {
      const T* const x = logits + r * cols;
      const std::int32_t label = labels[r];
      ranks[r] = static_cast<std::int32_t>(cols);
      if (label == kIgnoredTarget) continue;
      const acc_t<T> own = cpu::load(x[label]);
      std::int32_t rank = 0;
      // Not "<=": a label that is no number is the last.
      for (std::int64_t c = 0; c < cols; ++c)
        rank += c != label && !(cpu::load(x[c]) < own || (cpu::load(x[c]) == own && c > label));
      ranks[r] = rank;
    }
  });
}

void count_below(Cpu, std::int64_t rows, const std::int32_t* ranks, std::int64_t k, double* count) {
  *count = static_cast<double>(
      std::count_if(ranks, ranks + rows, [=](std::int32_t rank) { return rank < k; }));
}

#define FUSOR_SOFT_CROSS_ENTROPY(T)                                                           \
  template void soft_cross_entropy(Cpu, std::int64_t, std::int64_t, const T*, const float*,   \
                                   double*);                                                  \
  template void soft_cross_entropy_backward(Cpu, std::int64_t, std::int64_t, const double*,   \
                                            const T*, const float*, const double*, T*, bool); \
  template void label_ranks(Cpu, std::int64_t, std::int64_t, const T*, const std::int32_t*,   \
                            std::int32_t*);
FUSOR_SOFT_CROSS_ENTROPY(double)
FUSOR_SOFT_CROSS_ENTROPY(float)
FUSOR_SOFT_CROSS_ENTROPY(bf16)
FUSOR_SOFT_CROSS_ENTROPY(f16)
#undef FUSOR_SOFT_CROSS_ENTROPY

}  // namespace fusor::ops::kernels
