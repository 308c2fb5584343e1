#include <cmath>
#include <numeric>

#include "ops/blocks.h"
#include "ops/cpu.h"
#include "ops/grad_norm_kernels.h"

namespace fusor::ops::kernels {
namespace {

// In lanes of a fixed number, so that the sum is the same on machines of any vector width.
template <class T>
double sum_squares(std::span<const T> x) {
  constexpr std::size_t kLanes = 32;
  double lane[kLanes] = {};
  std::size_t i = 0;
  for (; i + kLanes <= x.size(); i += kLanes)
    for (std::size_t j = 0; j < kLanes; ++j) {
      const auto e = static_cast<double>(cpu::load(x[i + j]));
      lane[j] += e * e;
    }
  for (; i < x.size(); ++i) {
    const auto e = static_cast<double>(cpu::load(x[i]));
    lane[i % kLanes] += e * e;
  }
  return std::accumulate(lane, lane + kLanes, 0.0);
}

}  // namespace

template <class T>
void sum_squares(Cpu, std::span<const std::span<const T>> arrays, double* partial, double* out) {
  const Blocks blocks(arrays);
  cpu::parallel_for(blocks.count(), 1, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t b = first; b < last; ++b) {
      const auto [array, begin, end] = blocks[b];
      partial[b] = sum_squares(arrays[array].subspan(static_cast<std::size_t>(begin),
                                                     static_cast<std::size_t>(end - begin)));
    }
  });
  *out = std::accumulate(partial, partial + blocks.count(), 0.0);
}

void clip_scale(Cpu, const double* sum_squares, double inv_count, double max_norm, double* scale,
                double* norm) {
  *norm = std::sqrt(*sum_squares) * inv_count;
  const double clip = max_norm / (*norm + 1e-6);
  *scale = max_norm == 0 || clip > 1 ? inv_count : inv_count * clip;
}

template void sum_squares(Cpu, std::span<const std::span<const double>>, double*, double*);
template void sum_squares(Cpu, std::span<const std::span<const float>>, double*, double*);
template void sum_squares(Cpu, std::span<const std::span<const bf16>>, double*, double*);

}  // namespace fusor::ops::kernels
