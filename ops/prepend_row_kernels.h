#pragma once
#include <cstdint>

#include "runtime/launch.h"

// Defined in prepend_row_cpu.cc and prepend_row_cuda.cu.
namespace fusor::ops::kernels {

// x [batch, len, cols]   row [cols]   y [batch, len + 1, cols]
template <class T>
void prepend_row(Cpu, std::int64_t batch, std::int64_t len, std::int64_t cols, const T* x,
                 const T* row, T* y);
template <class T>
void prepend_row(Cuda, std::int64_t batch, std::int64_t len, std::int64_t cols, const T* x,
                 const T* row, T* y);

}  // namespace fusor::ops::kernels
