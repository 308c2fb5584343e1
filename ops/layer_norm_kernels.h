#pragma once
#include <cstdint>

#include "runtime/launch.h"

// Defined in layer_norm_cpu.cc and layer_norm_cuda.cu. A = acc_t<T>.
namespace fusor::ops::kernels {

// x, y [rows, cols]   gain, bias [cols]   mean, rstd [rows]
template <class T, class A>
void layer_norm(Cpu, std::int64_t rows, std::int64_t cols, double eps, const T* x, const T* gain,
                const T* bias, T* y, A* mean, A* rstd);
template <class T, class A>
void layer_norm(Cuda, std::int64_t rows, std::int64_t cols, double eps, const T* x, const T* gain,
                const T* bias, T* y, A* mean, A* rstd);

// dx [rows, cols] = (add ? dx : 0) + d. dgain, dbias [row blocks, cols]: the sums over each block
// of rows (ops/sum_rows.h), overwritten. dx may be null; dgain and dbias, both or neither.
template <class T, class A>
void layer_norm_backward(Cpu, std::int64_t rows, std::int64_t cols, const T* dy, const T* x,
                         const T* gain, const A* mean, const A* rstd, T* dx, bool add, A* dgain,
                         A* dbias);
template <class T, class A>
void layer_norm_backward(Cuda, std::int64_t rows, std::int64_t cols, const T* dy, const T* x,
                         const T* gain, const A* mean, const A* rstd, T* dx, bool add, A* dgain,
                         A* dbias);

}  // namespace fusor::ops::kernels
