#pragma once
#include <cstdint>

#include "ops/dropout_kernels.h"
#include "runtime/launch.h"

// Defined in add_norm_cpu.cc and add_norm_cuda.cu. A = acc_t<T>. The norms are those of
// ops/layer_norm_kernels.h and ops/rms_norm_kernels.h.
namespace fusor::ops::kernels {

// sum = residual + x keep / (1 - p), all [rows, mask.cols]; sum is neither of the two.
template <class T>
struct Addition {
  const T *residual, *x;
  DropoutMask mask;
  T* sum;
};

template <class T, class A>
void add_layer_norm(Cpu, std::int64_t rows, const Addition<T>&, double eps, const T* gain,
                    const T* bias, T* y, A* mean, A* rstd);
template <class T, class A>
void add_layer_norm(Cuda, std::int64_t rows, const Addition<T>&, double eps, const T* gain,
                    const T* bias, T* y, A* mean, A* rstd);

template <class T, class A>
void add_rms_norm(Cpu, std::int64_t rows, const Addition<T>&, double eps, const T* gain, T* y,
                  A* inv_rms);
template <class T, class A>
void add_rms_norm(Cuda, std::int64_t rows, const Addition<T>&, double eps, const T* gain, T* y,
                  A* inv_rms);

}  // namespace fusor::ops::kernels
