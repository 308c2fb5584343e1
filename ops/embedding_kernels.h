#pragma once
#include <cstddef>
#include <cstdint>

#include "ops/row_map.h"
#include "runtime/launch.h"

// Defined in embedding_cpu.cc and embedding_cuda.cu. A = acc_t<T>.
namespace fusor::ops::kernels {

// The words that a table has rows for.
struct Words {
  std::int64_t first, count;
  constexpr bool hold(std::int64_t id) const { return first <= id && id < first + count; }
};

// y [n, cols] = table[ids - words.first], 0 where the table has no such row
template <class T>
void embedding(Cpu, std::int64_t n, std::int64_t cols, Words words, const std::int32_t* ids,
               const T* table, T* y);
template <class T>
void embedding(Cuda, std::int64_t n, std::int64_t cols, Words words, const std::int32_t* ids,
               const T* table, T* y);

// dtable[ids[i] - words.first,:] += dy[i,:] where the table has that row: what is added to a row is
// a function of its dy, in the order of i
template <class T, class A>
void embedding_backward(Cpu, std::int64_t n, std::int64_t cols, Words words,
                        const std::int32_t* ids, const T* dy, A* dtable, std::byte* workspace);
template <class T, class A>
void embedding_backward(Cuda, std::int64_t n, std::int64_t cols, Words words,
                        const std::int32_t* ids, const T* dy, A* dtable, std::byte* workspace);
// The bytes that one call works in.
template <class T>
std::size_t embedding_backward_workspace(Cpu, std::int64_t n, std::int64_t cols);
template <class T>
std::size_t embedding_backward_workspace(Cuda, std::int64_t n, std::int64_t cols);

// y[r,:] = x[r,:] + table[position of r,:], r < n
template <class T>
void add_positions(Cpu, std::int64_t n, std::int64_t cols, const RowMap&, const T* x,
                   const T* table, T* y);
template <class T>
void add_positions(Cuda, std::int64_t n, std::int64_t cols, const RowMap&, const T* x,
                   const T* table, T* y);

// dtable[position of r,:] += dy[r,:], r < n, in order of the samples
template <class T, class A>
void add_positions_backward(Cpu, std::int64_t n, std::int64_t cols, const RowMap&, const T* dy,
                            A* dtable);
template <class T, class A>
void add_positions_backward(Cuda, std::int64_t n, std::int64_t cols, const RowMap&, const T* dy,
                            A* dtable);

}  // namespace fusor::ops::kernels
