#pragma once
#include <cstdint>
#include <span>

#include "ops/adamw.h"
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

// What is read where the kernel runs; see ops/adamw.h.
struct AdamWFactors {
  const double* rates;  // [kAdamWRates]
  const double* grad_scale;
};

template <class T>
void adamw(Cpu, std::span<const AdamWArrays<T>>, const AdamW&, const AdamWFactors&);
template <class T>
void adamw(Cuda, std::span<const AdamWArrays<T>>, const AdamW&, const AdamWFactors&);

}  // namespace fusor::ops::kernels
