#include "ops/cpu.h"
#include "ops/cpu_math.h"
#include "ops/tanh_kernels.h"

namespace fusor::ops::kernels {
namespace {

constexpr std::int64_t kGrain = 1 << 13;

}  // namespace

template <class T>
void tanh(Cpu, std::int64_t n, const T* x, T* y) {
  cpu::parallel_for(n, kGrain, [=](std::int64_t begin, std::int64_t end) {
#pragma omp simd
    for (std::int64_t i = begin; i < end; ++i) cpu::store(y[i], cpu::tanh(cpu::load(x[i])));
  });
}

template <class T>
void tanh_backward(Cpu, std::int64_t n, const T* dy, const T* y, T* dx, bool add) {
  cpu::parallel_for(n, kGrain, [=](std::int64_t begin, std::int64_t end) {
    cpu::with_constant(add, [=](auto accumulate) {
#pragma omp simd
      for (std::int64_t i = begin; i < end; ++i) {
        const auto v = cpu::load(y[i]);
        cpu::put(accumulate, dx[i], cpu::load(dy[i]) * (1 - v * v));
      }
    });
  });
}

#define FUSOR_TANH(T)                                  \
  template void tanh(Cpu, std::int64_t, const T*, T*); \
  template void tanh_backward(Cpu, std::int64_t, const T*, const T*, T*, bool);
FUSOR_TANH(double)
FUSOR_TANH(float)
FUSOR_TANH(bf16)
FUSOR_TANH(f16)
#undef FUSOR_TANH

}  // namespace fusor::ops::kernels
