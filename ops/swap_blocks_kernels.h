#pragma once
#include <cstdint>

#include "runtime/launch.h"

// Defined in swap_blocks_cpu.cc and swap_blocks_cuda.cu.
namespace fusor::ops::kernels {

// y [b, a, block] = (add ? y : 0) + x [a, b, block] with its first two dims swapped
template <class T>
void swap_blocks(Cpu, std::int64_t a, std::int64_t b, std::int64_t block, const T* x, T* y,
                 bool add);
template <class T>
void swap_blocks(Cuda, std::int64_t a, std::int64_t b, std::int64_t block, const T* x, T* y,
                 bool add);

}  // namespace fusor::ops::kernels
