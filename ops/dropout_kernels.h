#pragma once
#include <cstdint>

#include "runtime/launch.h"
#include "runtime/random.h"

// Defined in dropout_cpu.cc and dropout_cuda.cu.
namespace fusor::ops::kernels {

// y [n] = (base ? base : 0) + x keep / (1 - p), of elements [first, first + n) of the global array.
// base may be y or null. Forward and backward alike: the mask is symmetric.
template <class T>
void dropout(Cpu, std::int64_t n, const T* base, const T* x, double p, RandomKey key,
             std::int64_t first, T* y);
template <class T>
void dropout(Cuda, std::int64_t n, const T* base, const T* x, double p, RandomKey key,
             std::int64_t first, T* y);

}  // namespace fusor::ops::kernels
