#pragma once
#include <cstdint>

#include "runtime/launch.h"

// Defined in loss_scale_cpu.cc and loss_scale_cuda.cu.
namespace fusor::ops::kernels {

// norm [1], state [kLossScaleState]
void adapt_loss_scale(Cpu, const double* norm, std::int64_t patience, double* state);
void adapt_loss_scale(Cuda, const double* norm, std::int64_t patience, double* state);

// The rule, of both. state: scale, updates since it changed.
constexpr void adapt(double norm, std::int64_t patience, double* state) {
  if (norm != norm) {
    state[0] /= 2;
    state[1] = 0;
  } else if ((state[1] += 1) >= static_cast<double>(patience)) {
    state[0] *= 2;
    state[1] = 0;
  }
}

}  // namespace fusor::ops::kernels
