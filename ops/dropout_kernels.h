#pragma once
#include <cstdint>

#include "ops/dropout.h"
#include "runtime/launch.h"

// Defined in dropout_cpu.cc and dropout_cuda.cu.
namespace fusor::ops::kernels {

// Which elements of [rows, cols] are dropped; see ops/dropout.h.
struct DropoutMask {
  double p;
  KeyStem stem;
  const std::int64_t* step;  // where the kernel runs
  RowMap map;
  std::int64_t cols;

  constexpr RandomKey key() const { return key_at(stem, static_cast<std::uint64_t>(*step)); }
};

// With p = 0 nothing reads the step, and there may be none.
inline DropoutMask dropout_mask(double p, const StepKey& key, const RowMap& map,
                                std::int64_t cols) {
  return {p, key.stem, p > 0 ? key.step.data<std::int64_t>() : nullptr, map, cols};
}

// y [n] = (base ? base : 0) + x keep / (1 - p), n a multiple of cols. base may be y or null.
// Forward and backward alike: the mask is symmetric.
template <class T>
void dropout(Cpu, std::int64_t n, const T* base, const T* x, const DropoutMask&, T* y);
template <class T>
void dropout(Cuda, std::int64_t n, const T* base, const T* x, const DropoutMask&, T* y);

}  // namespace fusor::ops::kernels
