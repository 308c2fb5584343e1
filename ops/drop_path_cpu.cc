#include "ops/cpu.h"
#include "ops/drop_path_kernels.h"

namespace fusor::ops::kernels {

template <class T>
void drop_path(Cpu, std::int64_t rows, std::int64_t cols, const T* base, const T* x,
               const PathMask& mask, T* y) {
  using A = acc_t<T>;
  constexpr std::int64_t kGrain = 1 << 13;
  const RandomKey key = mask.key();
  cpu::parallel_for(rows, kGrain / cols + 1, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) {
      const float drawn = uniform(key, static_cast<std::uint64_t>(mask.map.sample(r)));
      const A scale = drawn >= static_cast<float>(mask.p) ? static_cast<A>(1 / (1 - mask.p)) : A(0);
      cpu::with_constant(base != nullptr, [=](auto has_base) {
#pragma omp simd
        for (std::int64_t i = r * cols; i < (r + 1) * cols; ++i) {
          const A kept = scale * cpu::load(x[i]);
          if constexpr (has_base)
            cpu::store(y[i], cpu::load(base[i]) + kept);
          else
            cpu::store(y[i], kept);
        }
      });
    }
  });
}

#define FUSOR_DROP_PATH(T) \
  template void drop_path(Cpu, std::int64_t, std::int64_t, const T*, const T*, const PathMask&, T*);
FUSOR_DROP_PATH(double)
FUSOR_DROP_PATH(float)
FUSOR_DROP_PATH(bf16)
FUSOR_DROP_PATH(f16)
#undef FUSOR_DROP_PATH

}  // namespace fusor::ops::kernels
