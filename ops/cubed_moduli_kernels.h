#pragma once
#include <cstdint>

#include "runtime/launch.h"

// Defined in cubed_moduli_cpu.cc and cubed_moduli_cuda.cu.
namespace fusor::ops::kernels {

struct CubedSize {
  std::int64_t rows, cols;
  double factor;
  bool complex;
};

// of_rows f64 [rows]: each row's share of the loss
template <class T>
void cubed_moduli(Cpu, const CubedSize&, const T* x, double* of_rows, double* loss);
template <class T>
void cubed_moduli(Cuda, const CubedSize&, const T* x, double* of_rows, double* loss);

// dx = (add ? dx : 0) + 3 dloss factor |x| x
template <class T>
void cubed_moduli_backward(Cpu, const CubedSize&, const double* dloss, const T* x, T* dx, bool add);
template <class T>
void cubed_moduli_backward(Cuda, const CubedSize&, const double* dloss, const T* x, T* dx,
                           bool add);

}  // namespace fusor::ops::kernels
