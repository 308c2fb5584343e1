#pragma once
#include <cstdint>

#include "runtime/launch.h"

// Defined in cross_entropy_cpu.cc and cross_entropy_cuda.cu.
namespace fusor::ops::kernels {

// logits [rows, vocab]   targets [rows]   loss [1]
// lse [rows] = log sum_v e^logits[n,v], of rows that are not ignored
template <class T>
void cross_entropy(Cpu, std::int64_t rows, std::int64_t vocab, const T* logits,
                   const std::int32_t* targets, double* lse, double* loss);
template <class T>
void cross_entropy(Cuda, std::int64_t rows, std::int64_t vocab, const T* logits,
                   const std::int32_t* targets, double* lse, double* loss);

// logits become dloss[0] (softmax(logits) - onehot(targets)); 0 in rows that are ignored.
template <class T>
void cross_entropy_backward(Cpu, std::int64_t rows, std::int64_t vocab, const double* dloss,
                            const std::int32_t* targets, const double* lse, T* logits);
template <class T>
void cross_entropy_backward(Cuda, std::int64_t rows, std::int64_t vocab, const double* dloss,
                            const std::int32_t* targets, const double* lse, T* logits);

}  // namespace fusor::ops::kernels
