#pragma once
#include <cstdint>

#include "runtime/launch.h"

// Defined in tanh_cpu.cc and tanh_cuda.cu.
namespace fusor::ops::kernels {

// y [n] = tanh(x)
template <class T>
void tanh(Cpu, std::int64_t n, const T* x, T* y);
template <class T>
void tanh(Cuda, std::int64_t n, const T* x, T* y);

// dx [n] = (add ? dx : 0) + dy (1 - y^2)
template <class T>
void tanh_backward(Cpu, std::int64_t n, const T* dy, const T* y, T* dx, bool add);
template <class T>
void tanh_backward(Cuda, std::int64_t n, const T* dy, const T* y, T* dx, bool add);

}  // namespace fusor::ops::kernels
