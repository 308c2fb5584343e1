#include <cmath>

#include "ops/adamw_kernels.h"
#include "ops/blocks.h"
#include "ops/cpu.h"

namespace fusor::ops::kernels {

template <class T>
void adamw(Cpu, std::span<const AdamWArrays<T>> arrays, const AdamW& f,
           const AdamWFactors& factors) {
  using A = acc_t<T>;
  if (*factors.grad_scale == 0) return;
  const Blocks blocks(arrays);
  const double lr = factors.rates[0], bias1 = factors.rates[1], bias2 = factors.rates[2];
  const auto scale = static_cast<A>(*factors.grad_scale), beta2 = static_cast<A>(f.beta2),
             new1 = static_cast<A>(1 - f.beta1), new2 = static_cast<A>(1 - f.beta2),
             rate = static_cast<A>(lr / bias1), eps = static_cast<A>(f.eps),
             root2 = static_cast<A>(1 / std::sqrt(bias2));
  cpu::parallel_for(blocks.count(), 1, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t b = first; b < last; ++b) {
      const auto [array, begin, end] = blocks[b];
      const auto [weight, master, m, v, grad, size, decay] = arrays[array];
      const auto keep = static_cast<A>(1 - lr * decay);
#pragma omp simd
      for (std::int64_t i = begin; i < end; ++i) {
        const A g = grad[i] * scale;
        const A mi = m[i] + new1 * (g - m[i]);
        const A vi = beta2 * v[i] + new2 * g * g;
        const A w = master[i] * keep - rate * mi / (std::sqrt(vi) * root2 + eps);
        m[i] = mi;
        v[i] = vi;
        master[i] = w;
        cpu::store(weight[i], w);
      }
    }
  });
}

#define FUSOR_ADAMW(T) \
  template void adamw(Cpu, std::span<const AdamWArrays<T>>, const AdamW&, const AdamWFactors&);
FUSOR_ADAMW(double)
FUSOR_ADAMW(float)
FUSOR_ADAMW(bf16)
FUSOR_ADAMW(f16)
#undef FUSOR_ADAMW

}  // namespace fusor::ops::kernels
