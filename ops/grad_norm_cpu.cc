#include <algorithm>
#include <cmath>

#include "ops/blocks.h"
#include "ops/cpu.h"
#include "ops/exact_sum.h"
#include "ops/grad_norm_kernels.h"

namespace fusor::ops::kernels {
namespace {

constexpr std::int64_t kTerm = 64;  // elements of a term of the exact sum
static_assert(Blocks::kBlock % kTerm == 0);

// In lanes of a fixed number, so that the sum is the same on machines of any vector width.
template <class T>
double term(const T* x, std::int64_t n) {
  constexpr std::int64_t kLanes = 8;
  double lane[kLanes] = {};
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    for (std::int64_t j = 0; j < kLanes; ++j) {
      const auto e = static_cast<double>(cpu::load(x[i + j]));
      lane[j] += e * e;
    }
  for (; i < n; ++i) {
    const auto e = static_cast<double>(cpu::load(x[i]));
    lane[i % kLanes] += e * e;
  }
  return ((lane[0] + lane[1]) + (lane[2] + lane[3])) + ((lane[4] + lane[5]) + (lane[6] + lane[7]));
}

}  // namespace

template <class T>
void sum_squares(Cpu, std::span<const std::span<const T>> arrays, std::int64_t* sum) {
  std::fill_n(sum, ExactSum::kLimbs, 0);
  const Blocks blocks(arrays);
  cpu::parallel_for(blocks.count(), 16, [&](std::int64_t first, std::int64_t last) {
    ExactSum mine;
    for (std::int64_t b = first; b < last; ++b) {
      const auto [array, begin, end] = blocks[b];
      for (std::int64_t i = begin; i < end; i += kTerm)
        mine.add(term(arrays[array].data() + i, std::min(kTerm, end - i)));
    }
#pragma omp critical(fusor_sum_squares)
    mine.add_to(sum);
  });
}

void clip_scale(Cpu, const std::int64_t* sum, const double* inv_count, const double* loss_scale,
                double max_norm, double* scale, double* norm) {
  const double unit = loss_scale ? *inv_count / *loss_scale : *inv_count;
  *norm = std::sqrt(ExactSum::value(sum)) * unit;
  const double clip = max_norm / (*norm + 1e-6);
  *scale = std::isnan(*norm) ? 0 : max_norm == 0 || clip > 1 ? unit : unit * clip;
}

template void sum_squares(Cpu, std::span<const std::span<const double>>, std::int64_t*);
template void sum_squares(Cpu, std::span<const std::span<const float>>, std::int64_t*);
template void sum_squares(Cpu, std::span<const std::span<const bf16>>, std::int64_t*);
template void sum_squares(Cpu, std::span<const std::span<const f16>>, std::int64_t*);

}  // namespace fusor::ops::kernels
