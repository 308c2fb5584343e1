#include <algorithm>

#include "ops/cpu.h"
#include "ops/mean_pool_kernels.h"

namespace fusor::ops::kernels {

template <class T>
void mean_pool(Cpu, const PaddedRows& p, const T* x, T* y) {
  constexpr std::int64_t kColumns = 64;  // at once
  const std::int64_t strips = (p.cols + kColumns - 1) / kColumns;
  const auto strip = [=](std::int64_t b, std::int64_t c) {
    const std::int64_t n = std::min(kColumns, p.cols - c), length = p.length(b);
    acc_t<T> sum[kColumns] = {};
    for (std::int64_t t = 0; t < length; ++t) {
      const T* row = x + (b * p.seq_len + t) * p.cols + c;
#pragma omp simd
      for (std::int64_t k = 0; k < n; ++k) sum[k] += cpu::load(row[k]);
    }
    const acc_t<T> share = length > 0 ? 1 / static_cast<acc_t<T>>(length) : 0;
    for (std::int64_t k = 0; k < n; ++k) cpu::store(y[b * p.cols + c + k], sum[k] * share);
  };
  cpu::parallel_for(p.batch * strips, cpu::row_grain(kColumns * p.seq_len),
                    [=](std::int64_t begin, std::int64_t end) {
                      for (std::int64_t i = begin; i < end; ++i)
                        strip(i / strips, i % strips * kColumns);
                    });
}

template <class T>
void mean_pool_backward(Cpu, const PaddedRows& p, const T* dy, T* dx, bool add) {
  const auto one_row = [=](std::int64_t r, auto accumulate) {
    const std::int64_t b = r / p.seq_len, length = p.length(b);
    const acc_t<T> share = r % p.seq_len < length ? 1 / static_cast<acc_t<T>>(length) : 0;
    const T* from = dy + b * p.cols;
    T* to = dx + r * p.cols;
#pragma omp simd
    for (std::int64_t c = 0; c < p.cols; ++c)
      cpu::put(accumulate, to[c], share > 0 ? cpu::load(from[c]) * share : 0);
  };
  cpu::parallel_for(p.batch * p.seq_len, cpu::row_grain(p.cols),
                    [=](std::int64_t begin, std::int64_t end) {
                      cpu::with_constant(add, [=](auto accumulate) {
                        for (std::int64_t r = begin; r < end; ++r) one_row(r, accumulate);
                      });
                    });
}

#define FUSOR_MEAN_POOL(T)                                       \
  template void mean_pool(Cpu, const PaddedRows&, const T*, T*); \
  template void mean_pool_backward(Cpu, const PaddedRows&, const T*, T*, bool);
FUSOR_MEAN_POOL(double)
FUSOR_MEAN_POOL(float)
FUSOR_MEAN_POOL(bf16)
FUSOR_MEAN_POOL(f16)
#undef FUSOR_MEAN_POOL

}  // namespace fusor::ops::kernels
