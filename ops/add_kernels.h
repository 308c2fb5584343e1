#pragma once
#include <cstdint>

#include "runtime/launch.h"

// Defined in add_cpu.cc and add_cuda.cu.
namespace fusor::ops::kernels {

template <class T>
void add(Cpu, std::int64_t n, const T* a, const T* b, T* y);
template <class T>
void add(Cuda, std::int64_t n, const T* a, const T* b, T* y);

// to [n] = (add ? to : 0) + x
template <class T, class To>
void add_into(Cpu, std::int64_t n, const T* x, To* to, bool add);
template <class T, class To>
void add_into(Cuda, std::int64_t n, const T* x, To* to, bool add);

}  // namespace fusor::ops::kernels
