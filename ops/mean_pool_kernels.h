#pragma once
#include <cstdint>

#include "runtime/launch.h"

// Defined in mean_pool_cpu.cc and mean_pool_cuda.cu.
namespace fusor::ops::kernels {

// `batch` sequences of seq_len rows [cols], of which the first length(b) count.
struct PaddedRows {
  std::int64_t batch, seq_len, cols;
  const std::int32_t* lengths;  // [batch]; null: seq_len

  constexpr std::int64_t length(std::int64_t b) const {
    if (!lengths) return seq_len;
    return lengths[b] < 0 ? 0 : lengths[b] < seq_len ? lengths[b] : seq_len;
  }
};

// y [batch, cols]: the mean over the rows of x [batch seq_len, cols] that count, 0 of none
template <class T>
void mean_pool(Cpu, const PaddedRows&, const T* x, T* y);
template <class T>
void mean_pool(Cuda, const PaddedRows&, const T* x, T* y);

// dx [batch seq_len, cols] = (add ? dx : 0) + dy / length in the rows that count
template <class T>
void mean_pool_backward(Cpu, const PaddedRows&, const T* dy, T* dx, bool add);
template <class T>
void mean_pool_backward(Cuda, const PaddedRows&, const T* dy, T* dx, bool add);

}  // namespace fusor::ops::kernels
