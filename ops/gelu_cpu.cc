#include "ops/cpu.h"
#include "ops/cpu_math.h"
#include "ops/gelu_kernels.h"

namespace fusor::ops::kernels {
namespace {

constexpr std::int64_t kGrain = 1 << 13;

}  // namespace

template <class T>
void gelu(Cpu, std::int64_t n, const T* x, T* y, GeluForm form) {
  cpu::parallel_for(n, kGrain, [=](std::int64_t begin, std::int64_t end) {
    cpu::with_constant(form == GeluForm::erf, [=](auto erf) {
#pragma omp simd
      for (std::int64_t i = begin; i < end; ++i) {
        const acc_t<T> at = cpu::load(x[i]);
        cpu::store(y[i], erf ? cpu::erf_gelu(at) : cpu::gelu(at));
      }
    });
  });
}

template <class T>
void gelu_backward(Cpu, std::int64_t n, const T* dy, const T* x, T* dx, bool add, GeluForm form) {
  const auto slice = [=](std::int64_t begin, std::int64_t end, auto erf, auto accumulate) {
#pragma omp simd
    for (std::int64_t i = begin; i < end; ++i) {
      const acc_t<T> at = cpu::load(x[i]);
      const acc_t<T> slope = erf ? cpu::derf_gelu(at) : cpu::dgelu(at);
      cpu::put(accumulate, dx[i], cpu::load(dy[i]) * slope);
    }
  };
  cpu::parallel_for(n, kGrain, [=](std::int64_t begin, std::int64_t end) {
    cpu::with_constant(form == GeluForm::erf, [=](auto erf) {
      cpu::with_constant(add, [=](auto accumulate) { slice(begin, end, erf, accumulate); });
    });
  });
}

#define FUSOR_GELU(T)                                            \
  template void gelu(Cpu, std::int64_t, const T*, T*, GeluForm); \
  template void gelu_backward(Cpu, std::int64_t, const T*, const T*, T*, bool, GeluForm);
FUSOR_GELU(double)
FUSOR_GELU(float)
FUSOR_GELU(bf16)
FUSOR_GELU(f16)
#undef FUSOR_GELU

}  // namespace fusor::ops::kernels
