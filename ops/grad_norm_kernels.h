#pragma once
#include <span>

#include "runtime/launch.h"

// Defined in grad_norm_cpu.cc and grad_norm_cuda.cu.
namespace fusor::ops::kernels {

// partial [Blocks(arrays).count()]: each block's sum of squares. out [1]: their sum, in order.
template <class T>
void sum_squares(Cpu, std::span<const std::span<const T>> arrays, double* partial, double* out);
template <class T>
void sum_squares(Cuda, std::span<const std::span<const T>> arrays, double* partial, double* out);

// Each [1].
void clip_scale(Cpu, const double* sum_squares, double inv_count, double max_norm, double* scale,
                double* norm);
void clip_scale(Cuda, const double* sum_squares, double inv_count, double max_norm, double* scale,
                double* norm);

}  // namespace fusor::ops::kernels
