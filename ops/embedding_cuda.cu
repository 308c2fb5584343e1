#include "ops/cuda_map.h"
#include "ops/embedding_kernels.h"

namespace fusor::ops::kernels {
namespace {

template <class T>
struct Gather {
  std::int64_t cols;
  Words words;
  const std::int32_t* ids;
  const T* table;
  T* y;

  template <int N>
  __device__ void at(std::int64_t i, std::int64_t c) const {
    const std::int64_t id = ids[i];
    cuda::Vector<T, N> row{};
    if (words.hold(id)) row = cuda::read<N>(table + (id - words.first) * cols + c);
    cuda::write<N>(y + i * cols + c, row);
  }
};

template <class T>
struct AddPositions {
  std::int64_t cols;
  RowMap map;
  const T *x, *table;
  T* y;

  template <int N>
  __device__ void at(std::int64_t r, std::int64_t c) const {
    const auto position = cuda::load<N>(table + map.position(r) * cols + c);
    auto sum = cuda::load<N>(x + r * cols + c);
#pragma unroll
    for (int k = 0; k < N; ++k) sum.at[k] += position.at[k];
    cuda::store<N>(y + r * cols + c, sum);
  }
};

// Over the tokens of a sample that are held here: a thread adds up all samples, in order.
template <class T, class A>
struct AddPositionsBackward {
  std::int64_t n, cols;
  RowMap map;
  const T* dy;
  A* dtable;

  template <int N>
  __device__ void at(std::int64_t i, std::int64_t c) const {
    const std::int64_t before = map.first_row % map.local_len;
    A* const to = dtable + map.position_of_local(i) * cols + c;
    auto sum = cuda::load<N>(to);
#pragma unroll 4
    for (std::int64_t r = i < before ? i - before + map.local_len : i - before; r < n;
         r += map.local_len) {
      const auto d = cuda::load<N>(dy + r * cols + c);
#pragma unroll
      for (int k = 0; k < N; ++k) sum.at[k] += d.at[k];
    }
    cuda::store<N>(to, sum);
  }
};

}  // namespace

template <class T>
void embedding(Cuda on, std::int64_t n, std::int64_t cols, Words words, const std::int32_t* ids,
               const T* table, T* y) {
  constexpr int N = cuda::kVector<T>;
  cuda::for_rows<N>(on, n, cols, cuda::hold_vectors<N>(table, y),
                    Gather<T>{cols, words, ids, table, y});
}

template <class T>
void add_positions(Cuda on, std::int64_t n, std::int64_t cols, const RowMap& map, const T* x,
                   const T* table, T* y) {
  constexpr int N = cuda::kVector<T>;
  cuda::for_rows<N>(on, n, cols, cuda::hold_vectors<N>(x, table, y),
                    AddPositions<T>{cols, map, x, table, y});
}

template <class T, class A>
void add_positions_backward(Cuda on, std::int64_t n, std::int64_t cols, const RowMap& map,
                            const T* dy, A* dtable) {
  constexpr int N = cuda::kVectorOf<T, A>;
  cuda::for_rows<N>(on, map.local_len, cols, cuda::hold_vectors<N>(dy, dtable),
                    AddPositionsBackward<T, A>{n, cols, map, dy, dtable});
}

#define FUSOR_EMBEDDING(T, A)                                                                      \
  template void embedding(Cuda, std::int64_t, std::int64_t, Words, const std::int32_t*, const T*,  \
                          T*);                                                                     \
  template void add_positions(Cuda, std::int64_t, std::int64_t, const RowMap&, const T*, const T*, \
                              T*);                                                                 \
  template void add_positions_backward(Cuda, std::int64_t, std::int64_t, const RowMap&, const T*,  \
                                       A*);
FUSOR_EMBEDDING(double, double)
FUSOR_EMBEDDING(float, float)
FUSOR_EMBEDDING(bf16, float)
FUSOR_EMBEDDING(f16, float)
#undef FUSOR_EMBEDDING

}  // namespace fusor::ops::kernels
