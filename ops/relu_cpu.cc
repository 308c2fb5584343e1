#include "ops/cpu.h"
#include "ops/relu_kernels.h"

namespace fusor::ops::kernels {
namespace {

constexpr std::int64_t kGrain = 1 << 15;

}  // namespace

template <class T>
void relu(Cpu, std::int64_t n, const T* x, T* y) {
  using A = acc_t<T>;
  cpu::parallel_for(n, kGrain, [=](std::int64_t begin, std::int64_t end) {
#pragma omp simd
    for (std::int64_t i = begin; i < end; ++i) {
      const A v = cpu::load(x[i]);
      cpu::store(y[i], v < 0 ? A(0) : v);
    }
  });
}

template <class T>
void relu_backward(Cpu, std::int64_t n, const T* dy, const T* y, T* dx, bool add) {
  using A = acc_t<T>;
  cpu::parallel_for(n, kGrain, [=](std::int64_t begin, std::int64_t end) {
    cpu::with_constant(add, [=](auto accumulate) {
#pragma omp simd
      for (std::int64_t i = begin; i < end; ++i) {
        const A d = cpu::load(dy[i]);
        cpu::put(accumulate, dx[i], cpu::load(y[i]) > 0 ? d : A(0));
      }
    });
  });
}

#define FUSOR_RELU(T)                                  \
  template void relu(Cpu, std::int64_t, const T*, T*); \
  template void relu_backward(Cpu, std::int64_t, const T*, const T*, T*, bool);
FUSOR_RELU(double)
FUSOR_RELU(float)
FUSOR_RELU(bf16)
FUSOR_RELU(f16)
#undef FUSOR_RELU

}  // namespace fusor::ops::kernels
