#pragma once
#include <cstdint>

#include "runtime/launch.h"

// Defined in embedding_cpu.cc and embedding_cuda.cu. A = acc_t<T>.
namespace fusor::ops::kernels {

// y [n, cols] = table[ids]
template <class T>
void embedding(Cpu, std::int64_t n, std::int64_t cols, const std::int32_t* ids, const T* table,
               T* y);
template <class T>
void embedding(Cuda, std::int64_t n, std::int64_t cols, const std::int32_t* ids, const T* table,
               T* y);

// dtable[ids[i],:] += dy[i,:], in the order of i
template <class T, class A>
void embedding_backward(Cpu, std::int64_t n, std::int64_t cols, const std::int32_t* ids,
                        const T* dy, A* dtable);
template <class T, class A>
void embedding_backward(Cuda, std::int64_t n, std::int64_t cols, const std::int32_t* ids,
                        const T* dy, A* dtable);

// y [batch, seq_len, cols] = x + table [seq_len, cols]
template <class T>
void add_positions(Cpu, std::int64_t batch, std::int64_t seq_len, std::int64_t cols, const T* x,
                   const T* table, T* y);
template <class T>
void add_positions(Cuda, std::int64_t batch, std::int64_t seq_len, std::int64_t cols, const T* x,
                   const T* table, T* y);

// dtable [seq_len, cols] += sum over batch of dy [batch, seq_len, cols]
template <class T, class A>
void add_positions_backward(Cpu, std::int64_t batch, std::int64_t seq_len, std::int64_t cols,
                            const T* dy, A* dtable);
template <class T, class A>
void add_positions_backward(Cuda, std::int64_t batch, std::int64_t seq_len, std::int64_t cols,
                            const T* dy, A* dtable);

}  // namespace fusor::ops::kernels
