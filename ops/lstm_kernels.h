#pragma once
#include <cstdint>

#include "runtime/launch.h"

// Defined in lstm_cpu.cc and lstm_cuda.cu.
namespace fusor::ops::kernels {

// One step of one direction, over all samples: that of a sample's frame `step` from its start, or
// from its end.
struct LstmStep {
  std::int64_t samples, frames, hidden, directions;
  std::int64_t direction, step;
  const std::int32_t* counts;

  constexpr bool is_past(std::int64_t n) const { return step >= counts[n]; }
  // Where the step's frame stands in [samples * frames]; past a sample's count any row that does.
  constexpr std::int64_t row(std::int64_t n) const {
    return n * frames + (direction && !is_past(n) ? counts[n] - 1 - step : step);
  }
  constexpr std::int64_t row_before(std::int64_t n) const { return row(n) + (direction ? 1 : -1); }
  // The first of this direction's columns in [rows, directions * cols].
  constexpr std::int64_t at(std::int64_t row, std::int64_t cols) const {
    return (row * directions + direction) * cols;
  }
};

// z [samples, 4 hidden]: w times h of the step before, or null in step 0
// acts [samples * frames, directions * 4 hidden]: sigmoid(i), sigmoid(f), tanh(g), sigmoid(o)
// c like y   h [samples, hidden]: of this step, 0 where it is past a sample's count
template <class T>
void lstm_cell(Cpu, const LstmStep& step, const T* gates, const T* z, T* acts, acc_t<T>* c, T* h,
               T* y);
template <class T>
void lstm_cell(Cuda, const LstmStep& step, const T* gates, const T* z, T* acts, acc_t<T>* c, T* h,
               T* y);

// dh [samples, hidden]: from the step after, or null in the last step   dc [samples, hidden]: from
// the step after; becomes what flows to the step before   dz [samples, 4 hidden] and dgates: the
// gradient of this step's gates, in two places
template <class T>
void lstm_cell_backward(Cpu, const LstmStep& step, const T* dy, const T* dh, const T* acts,
                        const acc_t<T>* c, acc_t<T>* dc, T* dz, T* dgates);
template <class T>
void lstm_cell_backward(Cuda, const LstmStep& step, const T* dy, const T* dh, const T* acts,
                        const acc_t<T>* c, acc_t<T>* dc, T* dz, T* dgates);

}  // namespace fusor::ops::kernels
