#include <algorithm>

#include "ops/cpu.h"
#include "ops/pick_rows_kernels.h"

namespace fusor::ops::kernels {

template <class T>
void pick_rows(Cpu, const Picks& p, const T* x, T* y) {
  cpu::parallel_for(p.batch * p.picks, cpu::row_grain(p.cols),
                    [=](std::int64_t begin, std::int64_t end) {
                      for (std::int64_t r = begin; r < end; ++r) {
                        const std::int64_t b = r / p.picks;
                        const std::int64_t row = b * p.seq_len + p.position(b, r % p.picks);
                        std::copy_n(x + row * p.cols, p.cols, y + r * p.cols);
                      }
                    });
}

namespace {

// The picks of row `position` of sequence b, added up where they are more than one.
template <class T>
void sum_picks(const Picks& p, std::int64_t b, std::int64_t position, const T* dy, T* dx,
               auto add) {
  constexpr std::int64_t kColumns = 64;  // at once
  for (std::int64_t c = 0; c < p.cols; c += kColumns) {
    const std::int64_t n = std::min(kColumns, p.cols - c);
    acc_t<T> sum[kColumns] = {};
    for (std::int64_t i = 0; i < p.picks; ++i) {
      if (p.position(b, i) != position) continue;
      const T* row = dy + (b * p.picks + i) * p.cols + c;
#pragma omp simd
      for (std::int64_t k = 0; k < n; ++k) sum[k] += cpu::load(row[k]);
    }
#pragma omp simd
    for (std::int64_t k = 0; k < n; ++k) cpu::put(add, dx[c + k], sum[k]);
  }
}

}  // namespace

template <class T>
void pick_rows_backward(Cpu, const Picks& p, const T* dy, T* dx, bool add) {
  const auto one_row = [=](std::int64_t r, auto accumulate) {
    const std::int64_t b = r / p.seq_len, position = r % p.seq_len;
    bool picked = false;
    for (std::int64_t i = 0; i < p.picks; ++i) picked |= p.position(b, i) == position;
    if (picked)
      sum_picks(p, b, position, dy, dx + r * p.cols, accumulate);
    else if (!accumulate)
      std::fill_n(dx + r * p.cols, p.cols, T{});
  };
  cpu::parallel_for(p.batch * p.seq_len, cpu::row_grain(p.cols),
                    [=](std::int64_t begin, std::int64_t end) {
                      cpu::with_constant(add, [=](auto accumulate) {
                        for (std::int64_t r = begin; r < end; ++r) one_row(r, accumulate);
                      });
                    });
}

#define FUSOR_PICK_ROWS(T)                                  \
  template void pick_rows(Cpu, const Picks&, const T*, T*); \
  template void pick_rows_backward(Cpu, const Picks&, const T*, T*, bool);
FUSOR_PICK_ROWS(double)
FUSOR_PICK_ROWS(float)
FUSOR_PICK_ROWS(bf16)
FUSOR_PICK_ROWS(f16)
#undef FUSOR_PICK_ROWS

}  // namespace fusor::ops::kernels
