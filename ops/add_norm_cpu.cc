#include "ops/add_kernels.h"
#include "ops/add_norm_kernels.h"
#include "ops/cpu.h"
#include "ops/layer_norm_kernels.h"
#include "ops/rms_norm_kernels.h"

namespace fusor::ops::kernels {
namespace {

// Adds a few rows at a time, and calls norm(first, rows) while their sum lies in the cache.
template <class T, class Norm>
void add_and_norm(std::int64_t rows, const Addition<T>& a, Norm&& norm) {
  const std::int64_t cols = a.mask.cols;
  cpu::parallel_for(rows, cpu::row_grain(cols), [&](std::int64_t begin, std::int64_t end) {
    const std::int64_t n = (end - begin) * cols, at = begin * cols;
    DropoutMask mask = a.mask;
    mask.map = mask.map.rows_from(begin);
    if (mask.p > 0)
      dropout(Cpu{}, n, a.residual + at, a.x + at, mask, a.sum + at);
    else
      add(Cpu{}, n, a.residual + at, a.x + at, a.sum + at);
    norm(begin, end - begin);
  });
}

}  // namespace

template <class T, class A>
void add_layer_norm(Cpu, std::int64_t rows, const Addition<T>& a, double eps, const T* gain,
                    const T* bias, T* y, A* mean, A* rstd) {
  const std::int64_t cols = a.mask.cols;
  add_and_norm(rows, a, [&](std::int64_t first, std::int64_t count) {
    layer_norm(Cpu{}, count, cols, eps, a.sum + first * cols, gain, bias, y + first * cols,
               mean + first, rstd + first);
  });
}

template <class T, class A>
void add_rms_norm(Cpu, std::int64_t rows, const Addition<T>& a, double eps, const T* gain, T* y,
                  A* inv_rms) {
  const std::int64_t cols = a.mask.cols;
  add_and_norm(rows, a, [&](std::int64_t first, std::int64_t count) {
    rms_norm(Cpu{}, count, cols, eps, a.sum + first * cols, gain, y + first * cols,
             inv_rms + first);
  });
}

#define FUSOR_ADD_NORM(T, A)                                                                      \
  template void add_layer_norm(Cpu, std::int64_t, const Addition<T>&, double, const T*, const T*, \
                               T*, A*, A*);                                                       \
  template void add_rms_norm(Cpu, std::int64_t, const Addition<T>&, double, const T*, T*, A*);
FUSOR_ADD_NORM(double, double)
FUSOR_ADD_NORM(float, float)
FUSOR_ADD_NORM(bf16, float)
FUSOR_ADD_NORM(f16, float)
#undef FUSOR_ADD_NORM

}  // namespace fusor::ops::kernels
