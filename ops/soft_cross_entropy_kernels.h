#pragma once
#include <cstdint>

#include "runtime/launch.h"

// Defined in soft_cross_entropy_cpu.cc and soft_cross_entropy_cuda.cu. logits, targets [rows, cols]
namespace fusor::ops::kernels {

// of_rows [3, rows]: log sum_v e^logits[n,v], sum_v targets[n,v], and the loss of each row
template <class T>
void soft_cross_entropy(Cpu, std::int64_t rows, std::int64_t cols, const T* logits,
                        const float* targets, double* of_rows);
template <class T>
void soft_cross_entropy(Cuda, std::int64_t rows, std::int64_t cols, const T* logits,
                        const float* targets, double* of_rows);
// dx = (add ? dx : 0) + dloss[0] (e^(logits - of_rows[0]) of_rows[1] - targets)
template <class T>
void soft_cross_entropy_backward(Cpu, std::int64_t rows, std::int64_t cols, const double* dloss,
                                 const T* logits, const float* targets, const double* of_rows,
                                 T* dx, bool add);
template <class T>
void soft_cross_entropy_backward(Cuda, std::int64_t rows, std::int64_t cols, const double* dloss,
                                 const T* logits, const float* targets, const double* of_rows,
                                 T* dx, bool add);

// others and shares are null, or both are there.
struct LabelArrays {
  const std::int32_t *labels, *others;
  const float* shares;
};
void soft_targets(Cpu, std::int64_t rows, std::int64_t cols, const LabelArrays&, double smoothing,
                  float* targets);
void soft_targets(Cuda, std::int64_t rows, std::int64_t cols, const LabelArrays&, double smoothing,
                  float* targets);

// ranks [rows]: how many logits are larger than the label's; of an ignored row cols
template <class T>
void label_ranks(Cpu, std::int64_t rows, std::int64_t cols, const T* logits,
                 const std::int32_t* labels, std::int32_t* ranks);
template <class T>
void label_ranks(Cuda, std::int64_t rows, std::int64_t cols, const T* logits,
                 const std::int32_t* labels, std::int32_t* ranks);
// count [1]: ranks below k
void count_below(Cpu, std::int64_t rows, const std::int32_t* ranks, std::int64_t k, double* count);
void count_below(Cuda, std::int64_t rows, const std::int32_t* ranks, std::int64_t k, double* count);

}  // namespace fusor::ops::kernels
