#pragma once
#include <cstdint>

#include "runtime/launch.h"

// Defined in rms_norm_cpu.cc and rms_norm_cuda.cu. A = acc_t<T>.
namespace fusor::ops::kernels {

// x, y [rows, cols]   gain [cols]   inv_rms [rows]
template <class T, class A>
void rms_norm(Cpu, std::int64_t rows, std::int64_t cols, double eps, const T* x, const T* gain,
              T* y, A* inv_rms);
template <class T, class A>
void rms_norm(Cuda, std::int64_t rows, std::int64_t cols, double eps, const T* x, const T* gain,
              T* y, A* inv_rms);

// dx [rows, cols] = (add ? dx : 0) + d. dgain [row blocks, cols]: the sums over each block of rows
// (ops/sum_rows.h), overwritten. Either may be null.
template <class T, class A>
void rms_norm_backward(Cpu, std::int64_t rows, std::int64_t cols, const T* dy, const T* x,
                       const T* gain, const A* inv_rms, T* dx, bool add, A* dgain);
template <class T, class A>
void rms_norm_backward(Cuda, std::int64_t rows, std::int64_t cols, const T* dy, const T* x,
                       const T* gain, const A* inv_rms, T* dx, bool add, A* dgain);

}  // namespace fusor::ops::kernels
