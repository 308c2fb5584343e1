#pragma once
#include <cstdint>
#include <span>

#include "runtime/launch.h"

// Defined in grad_norm_cpu.cc and grad_norm_cuda.cu.
namespace fusor::ops::kernels {

// sum [ExactSum::kLimbs]; its blocks of 64 elements begin at each array's first.
template <class T>
void sum_squares(Cpu, std::span<const std::span<const T>> arrays, std::int64_t* sum);
template <class T>
void sum_squares(Cuda, std::span<const std::span<const T>> arrays, std::int64_t* sum);

// inv_count, loss_scale, scale, norm [1]; loss_scale may be null.
void clip_scale(Cpu, const std::int64_t* sum, const double* inv_count, const double* loss_scale,
                double max_norm, double* scale, double* norm);
void clip_scale(Cuda, const std::int64_t* sum, const double* inv_count, const double* loss_scale,
                double max_norm, double* scale, double* norm);

}  // namespace fusor::ops::kernels
