#pragma once
#include <algorithm>
#include <cmath>
#include <limits>

#include "ops/cpu.h"
#include "ops/cpu_math.h"

namespace fusor::ops::cpu {

// log sum_i e^x[i]. The row comes from memory once: each chunk's maximum is found, then its
// exponentials are summed while it lies in the cache.
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
    for (std::int64_t i = begin; i < end; ++i) top = std::max(top, load(x[i]));
#pragma omp simd reduction(+ : part)
    for (std::int64_t i = begin; i < end; ++i) part += exp(load(x[i]) - top);
    sum = sum * std::exp(static_cast<double>(max) - static_cast<double>(top)) + part;
    max = top;
  }
  return max + std::log(sum);
}

}  // namespace fusor::ops::cpu
