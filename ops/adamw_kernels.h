#pragma once
#include <cstdint>
#include <span>

#include "runtime/dtype.h"
#include "runtime/launch.h"

// Defined in adamw_cpu.cc and adamw_cuda.cu.
namespace fusor::ops::kernels {

// One weight's arrays [size()]. weight may be master.
template <class T>
struct AdamWArrays {
  T* weight;
  acc_t<T>*master, *m, *v;
  const acc_t<T>* grad;
  std::int64_t elements;
  double decay;
  std::int64_t size() const { return elements; }
};

struct AdamWFactors {
  double lr, beta1, beta2, eps;
  double bias1, bias2;  // 1 - beta^step
};

template <class T>
void adamw(Cpu, std::span<const AdamWArrays<T>>, const AdamWFactors&, const double* grad_scale);
template <class T>
void adamw(Cuda, std::span<const AdamWArrays<T>>, const AdamWFactors&, const double* grad_scale);

}  // namespace fusor::ops::kernels
