#pragma once
#include <cstdint>

#include "runtime/launch.h"

// Defined in cross_entropy_cpu.cc and cross_entropy_cuda.cu. Columns of logits [rows, vocab] are
// the words from `first` on; rows whose target is ignored count for nothing.
namespace fusor::ops::kernels {

// known [2, rows]: log sum_v e^logits[n,v]; logits[n, target] where that is a column, else 0
template <class T>
void cross_entropy_known(Cpu, std::int64_t rows, std::int64_t vocab, std::int64_t first,
                         const T* logits, const std::int32_t* targets, double* known);
template <class T>
void cross_entropy_known(Cuda, std::int64_t rows, std::int64_t vocab, std::int64_t first,
                         const T* logits, const std::int32_t* targets, double* known);

// loss [1] and lse [rows], the log-sum-exp over all shards, from what is known of each,
// [shards, 2, rows]
void cross_entropy(Cpu, std::int64_t shards, std::int64_t rows, const double* known,
                   const std::int32_t* targets, double* lse, double* loss);
void cross_entropy(Cuda, std::int64_t shards, std::int64_t rows, const double* known,
                   const std::int32_t* targets, double* lse, double* loss);

// logits become dloss[0] (e^(logits - lse) - onehot(targets)); 0 in rows that are ignored.
template <class T>
void cross_entropy_backward(Cpu, std::int64_t rows, std::int64_t vocab, std::int64_t first,
                            const double* dloss, const std::int32_t* targets, const double* lse,
                            T* logits);
template <class T>
void cross_entropy_backward(Cuda, std::int64_t rows, std::int64_t vocab, std::int64_t first,
                            const double* dloss, const std::int32_t* targets, const double* lse,
                            T* logits);

}  // namespace fusor::ops::kernels
