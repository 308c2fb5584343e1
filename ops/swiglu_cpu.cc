#include "ops/cpu.h"
#include "ops/cpu_math.h"
#include "ops/swiglu_kernels.h"

namespace fusor::ops::kernels {

template <class T>
void swiglu(Cpu, std::int64_t rows, std::int64_t cols, const T* x, T* y) {
  cpu::parallel_for(rows, cpu::row_grain(2 * cols), [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) {
      const T *gate = x + r * 2 * cols, *up = gate + cols;
      T* yr = y + r * cols;
#pragma omp simd
      for (std::int64_t c = 0; c < cols; ++c) {
        const auto g = cpu::load(gate[c]);
        cpu::store(yr[c], g * cpu::sigmoid(g) * cpu::load(up[c]));
      }
    }
  });
}

template <class T>
void swiglu_backward(Cpu, std::int64_t rows, std::int64_t cols, const T* dy, const T* x, T* dx,
                     bool add) {
  const auto row = [=](std::int64_t r, auto accumulate) {
    const T *gate = x + r * 2 * cols, *up = gate + cols, *dyr = dy + r * cols;
    T *dgate = dx + r * 2 * cols, *dup = dgate + cols;
#pragma omp simd
    for (std::int64_t c = 0; c < cols; ++c) {
      const auto g = cpu::load(gate[c]), d = cpu::load(dyr[c]), s = cpu::sigmoid(g);
      cpu::put(accumulate, dgate[c], d * cpu::load(up[c]) * s * (1 + g * (1 - s)));
      cpu::put(accumulate, dup[c], d * g * s);
    }
  };
  cpu::parallel_for(rows, cpu::row_grain(2 * cols), [=](std::int64_t begin, std::int64_t end) {
    cpu::with_constant(add, [=](auto accumulate) {
      for (std::int64_t r = begin; r < end; ++r) row(r, accumulate);
    });
  });
}

#define FUSOR_SWIGLU(T)                                                \
  template void swiglu(Cpu, std::int64_t, std::int64_t, const T*, T*); \
  template void swiglu_backward(Cpu, std::int64_t, std::int64_t, const T*, const T*, T*, bool);
FUSOR_SWIGLU(double)
FUSOR_SWIGLU(float)
FUSOR_SWIGLU(bf16)
FUSOR_SWIGLU(f16)
#undef FUSOR_SWIGLU

}  // namespace fusor::ops::kernels
