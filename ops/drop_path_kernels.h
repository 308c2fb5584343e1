#pragma once
#include <cstdint>

#include "ops/drop_path.h"
#include "runtime/launch.h"

// Defined in drop_path_cpu.cc and drop_path_cuda.cu.
namespace fusor::ops::kernels {

// Which samples pass a branch by; see ops/drop_path.h.
struct PathMask {
  double p;
  KeyStem stem;
  const std::int64_t* step;  // where the kernel runs
  RowMap map;

  constexpr RandomKey key() const { return key_at(stem, static_cast<std::uint64_t>(*step)); }
};

// y [rows, cols] = (base ? base : 0) + x keep / (1 - p). base may be y or null. Forward and
// backward alike: the mask is symmetric.
template <class T>
void drop_path(Cpu, std::int64_t rows, std::int64_t cols, const T* base, const T* x,
               const PathMask&, T* y);
template <class T>
void drop_path(Cuda, std::int64_t rows, std::int64_t cols, const T* base, const T* x,
               const PathMask&, T* y);

}  // namespace fusor::ops::kernels
