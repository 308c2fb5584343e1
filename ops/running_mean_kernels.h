#pragma once
#include <cstdint>
#include <span>

#include "runtime/dtype.h"
#include "runtime/launch.h"

// Defined in running_mean_cpu.cc and running_mean_cuda.cu.
namespace fusor::ops::kernels {

// One value's arrays [size()]. value may be master.
template <class T>
struct RunningMeanArrays {
  T* value;
  acc_t<T>* master;
  const acc_t<T>* sum;
  std::int64_t elements;
  acc_t<T> keep, share;  // master = keep master + share sum
  std::int64_t size() const { return elements; }
};

template <class T>
void follow_means(Cpu, std::span<const RunningMeanArrays<T>>, const double* grad_scale);
template <class T>
void follow_means(Cuda, std::span<const RunningMeanArrays<T>>, const double* grad_scale);

}  // namespace fusor::ops::kernels
