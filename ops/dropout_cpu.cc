#include <algorithm>

#include "ops/cpu.h"
#include "ops/cpu_random.h"
#include "ops/dropout_kernels.h"

namespace fusor::ops::kernels {

template <class T>
void dropout(Cpu, std::int64_t n, const T* base, const T* x, const DropoutMask& mask, T* y) {
  using A = acc_t<T>;
  constexpr std::int64_t kGrain = 1 << 13;
  const auto limit = static_cast<float>(mask.p);
  const A scale = static_cast<A>(1 / (1 - mask.p));
  const RandomKey key = mask.key();
  const auto slice = [=](const std::uint32_t* words, std::int64_t begin, std::int64_t end,
                         auto has_base) {
#pragma omp simd
    for (std::int64_t i = begin; i < end; ++i) {
      const A scaled = cpu::load(x[i]) * scale;
      const bool keep = static_cast<float>(words[i - begin] >> 8) * 0x1p-24f >= limit;
      const A kept = keep ? scaled : A(0);
      if constexpr (has_base)
        cpu::store(y[i], cpu::load(base[i]) + kept);
      else
        cpu::store(y[i], kept);
    }
  };
  cpu::parallel_for(n, kGrain, [=](std::int64_t begin, std::int64_t end) {
    alignas(64) std::uint32_t words[cpu::kDrawn];
    for (std::int64_t i = begin; i < end;) {
      const std::int64_t row = i / mask.cols;
      // Element i is the global one shift + i, as far as the rows are consecutive.
      const std::int64_t shift = (mask.map.global_row(row) - row) * mask.cols;
      const std::int64_t run_end = std::min(end, mask.map.run_end(row, n / mask.cols) * mask.cols);
      while (i < run_end) {
        const std::int64_t counter = (shift + i) / 4 * 4;  // the first element of i's counter
        const std::int64_t stop = std::min(run_end, counter + cpu::kDrawn - shift);
        cpu::draw(key, counter, words);
        cpu::with_constant(base != nullptr, [&](auto has_base) {
          slice(words + (shift + i - counter), i, stop, has_base);
        });
        i = stop;
      }
    }
  });
}

template void dropout(Cpu, std::int64_t, const double*, const double*, const DropoutMask&, double*);
template void dropout(Cpu, std::int64_t, const float*, const float*, const DropoutMask&, float*);
template void dropout(Cpu, std::int64_t, const bf16*, const bf16*, const DropoutMask&, bf16*);
template void dropout(Cpu, std::int64_t, const f16*, const f16*, const DropoutMask&, f16*);

}  // namespace fusor::ops::kernels
