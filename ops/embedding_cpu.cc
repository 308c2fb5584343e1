#include <algorithm>

#include "ops/cpu.h"
#include "ops/embedding_kernels.h"

namespace fusor::ops::kernels {

template <class T>
void embedding(Cpu, std::int64_t n, std::int64_t cols, Words words, const std::int32_t* ids,
               const T* table, T* y) {
  cpu::parallel_for(n, cpu::row_grain(cols), [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i)
      if (words.hold(ids[i]))
        std::copy_n(table + (ids[i] - words.first) * cols, cols, y + i * cols);
      else
        std::fill_n(y + i * cols, cols, T{});
  });
}

// Shared out by columns: ids repeat, and each sum keeps the order of i.
template <class T, class A>
void embedding_backward(Cpu, std::int64_t n, std::int64_t cols, Words words,
                        const std::int32_t* ids, const T* dy, A* dtable, std::byte*) {
  constexpr std::int64_t kCols = 64;
  cpu::parallel_for(cols, kCols, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = 0; i < n; ++i) {
      if (!words.hold(ids[i])) continue;
      const T* from = dy + i * cols;
      A* to = dtable + (ids[i] - words.first) * cols;
#pragma omp simd
      for (std::int64_t c = begin; c < end; ++c) to[c] += cpu::load(from[c]);
    }
  });
}

template <class T>
std::size_t embedding_backward_workspace(Cpu, std::int64_t, std::int64_t) {
  return 0;
}

template <class T>
void add_positions(Cpu, std::int64_t n, std::int64_t cols, const RowMap& map, const T* x,
                   const T* table, T* y) {
  cpu::parallel_for(n, cpu::row_grain(cols), [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) {
      const T *xr = x + r * cols, *position = table + map.position(r) * cols;
      T* yr = y + r * cols;
#pragma omp simd
      for (std::int64_t c = 0; c < cols; ++c)
        cpu::store(yr[c], cpu::load(xr[c]) + cpu::load(position[c]));
    }
  });
}

// Shared out by the tokens of a sample: each position's sum keeps the order of the samples.
template <class T, class A>
void add_positions_backward(Cpu, std::int64_t n, std::int64_t cols, const RowMap& map, const T* dy,
                            A* dtable) {
  const std::int64_t len = map.local_len, first = map.first_row, last = first + n;
  const std::int64_t samples = (n + len - 1) / len;
  cpu::parallel_for(len, cpu::row_grain(samples * cols), [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t token = first / len * len; token < last; token += len)
      for (std::int64_t i = std::max(begin, first - token); i < std::min(end, last - token); ++i) {
        const T* from = dy + (token + i - first) * cols;
        A* to = dtable + map.position_of_local(i) * cols;
#pragma omp simd
        for (std::int64_t c = 0; c < cols; ++c) to[c] += cpu::load(from[c]);
      }
  });
}

#define FUSOR_EMBEDDING(T, A)                                                                     \
  template void embedding(Cpu, std::int64_t, std::int64_t, Words, const std::int32_t*, const T*,  \
                          T*);                                                                    \
  template void embedding_backward(Cpu, std::int64_t, std::int64_t, Words, const std::int32_t*,   \
                                   const T*, A*, std::byte*);                                     \
  template std::size_t embedding_backward_workspace<T>(Cpu, std::int64_t, std::int64_t);          \
  template void add_positions(Cpu, std::int64_t, std::int64_t, const RowMap&, const T*, const T*, \
                              T*);                                                                \
  template void add_positions_backward(Cpu, std::int64_t, std::int64_t, const RowMap&, const T*,  \
                                       A*);
FUSOR_EMBEDDING(double, double)
FUSOR_EMBEDDING(float, float)
FUSOR_EMBEDDING(bf16, float)
FUSOR_EMBEDDING(f16, float)
#undef FUSOR_EMBEDDING

}  // namespace fusor::ops::kernels
