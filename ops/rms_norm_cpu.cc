#include <algorithm>
#include <cmath>

#include "ops/cpu.h"
#include "ops/rms_norm_kernels.h"
#include "ops/sum_rows.h"

namespace fusor::ops::kernels {

template <class T, class A>
void rms_norm(Cpu, std::int64_t rows, std::int64_t cols, double eps, const T* x, const T* gain,
              T* y, A* inv_rms) {
  cpu::parallel_for(rows, cpu::row_grain(cols), [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) {
      const T* xr = x + r * cols;
      T* yr = y + r * cols;
      A sum = 0;
#pragma omp simd reduction(+ : sum)
      for (std::int64_t c = 0; c < cols; ++c) sum += cpu::load(xr[c]) * cpu::load(xr[c]);
      const A s = 1 / std::sqrt(sum / static_cast<A>(cols) + static_cast<A>(eps));
      inv_rms[r] = s;
#pragma omp simd
      for (std::int64_t c = 0; c < cols; ++c)
        cpu::store(yr[c], cpu::load(xr[c]) * s * cpu::load(gain[c]));
    }
  });
}

namespace {

// dx = s (dy gain) - x s^3 mean_c(dy gain x)
template <class T, class A>
void dx_row(std::int64_t cols, const T* dy, const T* x, const T* gain, A s, T* dx, bool add) {
  A dot = 0;
#pragma omp simd reduction(+ : dot)
  for (std::int64_t c = 0; c < cols; ++c)
    dot += cpu::load(dy[c]) * cpu::load(gain[c]) * cpu::load(x[c]);
  const A k = dot * s * s * s / static_cast<A>(cols);
#pragma omp simd
  for (std::int64_t c = 0; c < cols; ++c)
    cpu::store(dx[c], (add ? cpu::load(dx[c]) : A(0)) + s * cpu::load(dy[c]) * cpu::load(gain[c]) -
                          k * cpu::load(x[c]));
}

}  // namespace

template <class T, class A>
void rms_norm_backward(Cpu, std::int64_t rows, std::int64_t cols, const T* dy, const T* x,
                       const T* gain, const A* inv_rms, T* dx, bool add, A* dgain) {
  cpu::parallel_for(rows, kRowBlock, [=](std::int64_t begin, std::int64_t end) {
    A* dg = dgain ? dgain + begin / kRowBlock * cols : nullptr;
    if (dg) std::fill_n(dg, cols, A(0));
    for (std::int64_t r = begin; r < end; ++r) {
      const T *xr = x + r * cols, *dyr = dy + r * cols;
      const A s = inv_rms[r];
      if (dx) dx_row(cols, dyr, xr, gain, s, dx + r * cols, add);
      if (!dg) continue;
#pragma omp simd
      for (std::int64_t c = 0; c < cols; ++c) dg[c] += cpu::load(dyr[c]) * cpu::load(xr[c]) * s;
    }
  });
}

#define FUSOR_RMS_NORM(T, A)                                                                     \
  template void rms_norm(Cpu, std::int64_t, std::int64_t, double, const T*, const T*, T*, A*);   \
  template void rms_norm_backward(Cpu, std::int64_t, std::int64_t, const T*, const T*, const T*, \
                                  const A*, T*, bool, A*);
FUSOR_RMS_NORM(double, double)
FUSOR_RMS_NORM(float, float)
FUSOR_RMS_NORM(bf16, float)
FUSOR_RMS_NORM(f16, float)
#undef FUSOR_RMS_NORM

}  // namespace fusor::ops::kernels
