#include <algorithm>
#include <cmath>

#include "ops/cpu.h"
#include "ops/layer_norm_kernels.h"
#include "ops/sum_rows.h"

namespace fusor::ops::kernels {
namespace {

// Two passes over a row that the first brought into the cache: no cancellation in the variance.
template <class T, class A>
void row_statistics(std::int64_t cols, double eps, const T* x, A& mean, A& rstd) {
  A sum = 0, squares = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t c = 0; c < cols; ++c) sum += cpu::load(x[c]);
  const A m = sum / static_cast<A>(cols);
#pragma omp simd reduction(+ : squares)
  for (std::int64_t c = 0; c < cols; ++c) squares += (cpu::load(x[c]) - m) * (cpu::load(x[c]) - m);
  mean = m;
  rstd = 1 / std::sqrt(squares / static_cast<A>(cols) + static_cast<A>(eps));
}

// With g = dy gain and z = (x - mean) rstd:   dx = rstd (g - mean_c(g) - z mean_c(g z))
template <class T, class A>
void dx_row(std::int64_t cols, const T* dy, const T* x, const T* gain, A mean, A rstd, T* dx,
            bool add) {
  A sum_g = 0, sum_gz = 0;
#pragma omp simd reduction(+ : sum_g, sum_gz)
  for (std::int64_t c = 0; c < cols; ++c) {
    const A g = cpu::load(dy[c]) * cpu::load(gain[c]);
    sum_g += g;
    sum_gz += g * (cpu::load(x[c]) - mean);
  }
  const A n = static_cast<A>(cols), k = sum_gz * rstd * rstd / n, shift = sum_g / n;
#pragma omp simd
  for (std::int64_t c = 0; c < cols; ++c) {
    const A g = cpu::load(dy[c]) * cpu::load(gain[c]);
    const A d = rstd * (g - shift - k * (cpu::load(x[c]) - mean));
    cpu::store(dx[c], (add ? cpu::load(dx[c]) : A(0)) + d);
  }
}

}  // namespace

template <class T, class A>
void layer_norm(Cpu, std::int64_t rows, std::int64_t cols, double eps, const T* x, const T* gain,
                const T* bias, T* y, A* mean, A* rstd) {
  cpu::parallel_for(rows, cpu::row_grain(cols), [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) {
      const T* xr = x + r * cols;
      T* yr = y + r * cols;
      A m, s;
      row_statistics(cols, eps, xr, m, s);
      mean[r] = m;
      rstd[r] = s;
#pragma omp simd
      for (std::int64_t c = 0; c < cols; ++c)
        cpu::store(yr[c], (cpu::load(xr[c]) - m) * s * cpu::load(gain[c]) + cpu::load(bias[c]));
    }
  });
}

template <class T, class A>
void layer_norm_backward(Cpu, std::int64_t rows, std::int64_t cols, const T* dy, const T* x,
                         const T* gain, const A* mean, const A* rstd, T* dx, bool add, A* dgain,
                         A* dbias) {
  cpu::parallel_for(rows, kRowBlock, [=](std::int64_t begin, std::int64_t end) {
    A* dg = dgain ? dgain + begin / kRowBlock * cols : nullptr;
    A* db = dgain ? dbias + begin / kRowBlock * cols : nullptr;
    if (dg) std::fill_n(dg, cols, A(0));
    if (dg) std::fill_n(db, cols, A(0));
    for (std::int64_t r = begin; r < end; ++r) {
      const T *xr = x + r * cols, *dyr = dy + r * cols;
      const A m = mean[r], s = rstd[r];
      if (dx) dx_row(cols, dyr, xr, gain, m, s, dx + r * cols, add);
      if (!dg) continue;
#pragma omp simd
      for (std::int64_t c = 0; c < cols; ++c) {
        dg[c] += cpu::load(dyr[c]) * (cpu::load(xr[c]) - m) * s;
        db[c] += cpu::load(dyr[c]);
      }
    }
  });
}

#define FUSOR_LAYER_NORM(T, A)                                                                     \
  template void layer_norm(Cpu, std::int64_t, std::int64_t, double, const T*, const T*, const T*,  \
                           T*, A*, A*);                                                            \
  template void layer_norm_backward(Cpu, std::int64_t, std::int64_t, const T*, const T*, const T*, \
                                    const A*, const A*, T*, bool, A*, A*);
FUSOR_LAYER_NORM(double, double)
FUSOR_LAYER_NORM(float, float)
FUSOR_LAYER_NORM(bf16, float)
FUSOR_LAYER_NORM(f16, float)
#undef FUSOR_LAYER_NORM

}  // namespace fusor::ops::kernels
