#pragma once
#include <cstdint>

#include "runtime/launch.h"

// Defined in relu_cpu.cc and relu_cuda.cu.
namespace fusor::ops::kernels {

template <class T>
void relu(Cpu, std::int64_t n, const T* x, T* y);
template <class T>
void relu(Cuda, std::int64_t n, const T* x, T* y);

// dx [n] = (add ? dx : 0) + (y > 0 ? dy : 0); dx may be dy.
template <class T>
void relu_backward(Cpu, std::int64_t n, const T* dy, const T* y, T* dx, bool add);
template <class T>
void relu_backward(Cuda, std::int64_t n, const T* dy, const T* y, T* dx, bool add);

}  // namespace fusor::ops::kernels
