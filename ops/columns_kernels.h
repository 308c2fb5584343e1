#pragma once
#include <cstdint>

#include "runtime/launch.h"

// Defined in columns_cpu.cc and columns_cuda.cu.
namespace fusor::ops::kernels {

// Consecutive elements of each row of a wider array.
template <class T>
struct ColumnsOf {
  T* data;           // of row 0
  std::int64_t row;  // from a row to the next, in elements
};

// to [rows, cols] = (add ? to : 0) + from
template <class T, class To>
void copy_columns(Cpu, std::int64_t rows, std::int64_t cols, ColumnsOf<const T> from,
                  ColumnsOf<To> to, bool add);
template <class T, class To>
void copy_columns(Cuda, std::int64_t rows, std::int64_t cols, ColumnsOf<const T> from,
                  ColumnsOf<To> to, bool add);

}  // namespace fusor::ops::kernels
