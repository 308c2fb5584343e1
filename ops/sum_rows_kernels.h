#pragma once
#include <cstdint>

#include "runtime/launch.h"

// Defined in sum_rows_cpu.cc and sum_rows_cuda.cu.
namespace fusor::ops::kernels {

// to [cols] = (add ? to : 0) + sum over rows of x [rows, cols]
template <class T, class A>
void sum_rows(Cpu, std::int64_t rows, std::int64_t cols, const T* x, A* to, bool add, A* workspace);
template <class T, class A>
void sum_rows(Cuda, std::int64_t rows, std::int64_t cols, const T* x, A* to, bool add,
              A* workspace);
// The elements that one call works in.
std::int64_t sum_rows_workspace(Cpu, std::int64_t rows, std::int64_t cols);
std::int64_t sum_rows_workspace(Cuda, std::int64_t rows, std::int64_t cols);

}  // namespace fusor::ops::kernels
