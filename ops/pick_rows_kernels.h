#pragma once
#include <cstdint>

#include "runtime/launch.h"

// Defined in pick_rows_cpu.cc and pick_rows_cuda.cu.
namespace fusor::ops::kernels {

// Of `batch` sequences of seq_len rows [cols] each, `picks` rows.
struct Picks {
  std::int64_t batch, seq_len, cols, picks;
  const std::int32_t* positions;  // [batch, picks]; null: the first row

  constexpr std::int64_t position(std::int64_t b, std::int64_t i) const {
    return positions ? positions[b * picks + i] : 0;
  }
};

// y [batch picks, cols] = the rows of x [batch seq_len, cols]
template <class T>
void pick_rows(Cpu, const Picks&, const T* x, T* y);
template <class T>
void pick_rows(Cuda, const Picks&, const T* x, T* y);

// dx [batch seq_len, cols] = (add ? dx : 0) + the sum of dy over the picks of a row, in order
template <class T>
void pick_rows_backward(Cpu, const Picks&, const T* dy, T* dx, bool add);
template <class T>
void pick_rows_backward(Cuda, const Picks&, const T* dy, T* dx, bool add);

}  // namespace fusor::ops::kernels
