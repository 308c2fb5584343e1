#pragma once
#include <cstdint>

#include "ops/fill.h"
#include "runtime/dtype.h"
#include "runtime/launch.h"
#include "runtime/random.h"

// Defined in fill_cpu.cc and fill_cuda.cu.
namespace fusor::ops::kernels {

template <class T>
void fill(Cpu, std::int64_t n, T* to, double value);
template <class T>
void fill(Cuda, std::int64_t n, T* to, double value);

template <class T>
void fill_normal(Cpu, std::int64_t n, T* to, double std, RandomKey key, const BoxRange& range);
template <class T>
void fill_normal(Cuda, std::int64_t n, T* to, double std, RandomKey key, const BoxRange& range);

template <class From, class To>
void convert(Cpu, std::int64_t n, const From* from, To* to);
template <class From, class To>
void convert(Cuda, std::int64_t n, const From* from, To* to);

}  // namespace fusor::ops::kernels
