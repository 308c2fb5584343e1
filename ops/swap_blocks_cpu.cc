#include "ops/cpu.h"
#include "ops/swap_blocks_kernels.h"

namespace fusor::ops::kernels {

template <class T>
void swap_blocks(Cpu, std::int64_t a, std::int64_t b, std::int64_t block, const T* x, T* y,
                 bool add) {
  cpu::parallel_for(a * b, cpu::row_grain(block), [=](std::int64_t begin, std::int64_t end) {
    cpu::with_constant(add, [=](auto accumulate) {
      for (std::int64_t i = begin; i < end; ++i) {
        const T* from = x + (i % a * b + i / a) * block;
        T* to = y + i * block;
#pragma omp simd
        for (std::int64_t c = 0; c < block; ++c) cpu::put(accumulate, to[c], cpu::load(from[c]));
      }
    });
  });
}

#define FUSOR_SWAP_BLOCKS(T) \
  template void swap_blocks(Cpu, std::int64_t, std::int64_t, std::int64_t, const T*, T*, bool);
FUSOR_SWAP_BLOCKS(double)
FUSOR_SWAP_BLOCKS(float)
FUSOR_SWAP_BLOCKS(bf16)
FUSOR_SWAP_BLOCKS(f16)
#undef FUSOR_SWAP_BLOCKS

}  // namespace fusor::ops::kernels
