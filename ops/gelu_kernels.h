#pragma once
#include <cstdint>

#include "ops/gelu.h"
#include "runtime/launch.h"

// Defined in gelu_cpu.cc and gelu_cuda.cu.
namespace fusor::ops::kernels {

// y may be x.
template <class T>
void gelu(Cpu, std::int64_t n, const T* x, T* y, GeluForm);
template <class T>
void gelu(Cuda, std::int64_t n, const T* x, T* y, GeluForm);

// dx [n] = (add ? dx : 0) + dy gelu'(x); dx may be dy.
template <class T>
void gelu_backward(Cpu, std::int64_t n, const T* dy, const T* x, T* dx, bool add, GeluForm);
template <class T>
void gelu_backward(Cuda, std::int64_t n, const T* dy, const T* x, T* dx, bool add, GeluForm);

}  // namespace fusor::ops::kernels
