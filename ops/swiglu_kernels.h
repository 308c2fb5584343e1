#pragma once
#include <cstdint>

#include "runtime/launch.h"

// Defined in swiglu_cpu.cc and swiglu_cuda.cu.
namespace fusor::ops::kernels {

// x [rows, 2 cols]   y [rows, cols]
template <class T>
void swiglu(Cpu, std::int64_t rows, std::int64_t cols, const T* x, T* y);
template <class T>
void swiglu(Cuda, std::int64_t rows, std::int64_t cols, const T* x, T* y);

// dx [rows, 2 cols] = (add ? dx : 0) + d
template <class T>
void swiglu_backward(Cpu, std::int64_t rows, std::int64_t cols, const T* dy, const T* x, T* dx,
                     bool add);
template <class T>
void swiglu_backward(Cuda, std::int64_t rows, std::int64_t cols, const T* dy, const T* x, T* dx,
                     bool add);

}  // namespace fusor::ops::kernels
