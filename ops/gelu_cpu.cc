#include "ops/cpu.h"
#include "ops/cpu_math.h"
#include "ops/gelu_kernels.h"

namespace fusor::ops::kernels {
namespace {

constexpr std::int64_t kGrain = 1 << 13;

}  // namespace

template <class T>
void gelu(Cpu, std::int64_t n, const T* x, T* y) {
  cpu::parallel_for(n, kGrain, [=](std::int64_t begin, std::int64_t end) {
#pragma omp simd
    for (std::int64_t i = begin; i < end; ++i) cpu::store(y[i], cpu::gelu(cpu::load(x[i])));
  });
}

template <class T>
void gelu_backward(Cpu, std::int64_t n, const T* dy, const T* x, T* dx, bool add) {
  cpu::parallel_for(n, kGrain, [=](std::int64_t begin, std::int64_t end) {
    cpu::with_constant(add, [=](auto accumulate) {
#pragma omp simd
      for (std::int64_t i = begin; i < end; ++i)
        cpu::put(accumulate, dx[i], cpu::load(dy[i]) * cpu::dgelu(cpu::load(x[i])));
    });
  });
}

#define FUSOR_GELU(T)                                  \
  template void gelu(Cpu, std::int64_t, const T*, T*); \
  template void gelu_backward(Cpu, std::int64_t, const T*, const T*, T*, bool);
FUSOR_GELU(double)
FUSOR_GELU(float)
FUSOR_GELU(bf16)
FUSOR_GELU(f16)
#undef FUSOR_GELU

}  // namespace fusor::ops::kernels
