#pragma once
#include <type_traits>

#include "ops/cuda.h"

// Products of small matrices in shared memory by a block of 16 x 16 threads: what attention and the
// router are made of, in every dtype. Thread (x, y) holds the sums of rows y, y + 16, ... of the
// result, and either columns x, x + 16, ... (multiply_transposed) or every 16th vector of columns
// (multiply), so that no two threads of a quarter of a warp read from one bank. A row belongs to
// one half of one warp.
namespace fusor::ops::cuda {

inline constexpr int kTile = 64;  // rows of a whole tile
inline constexpr int kSide = 16;  // threads along each side
inline constexpr int kEach = kTile / kSide;
inline constexpr int kTileThreads = kSide * kSide;

__device__ inline int tile_x() { return static_cast<int>(threadIdx.x) % kSide; }
__device__ inline int tile_y() { return static_cast<int>(threadIdx.x) / kSide; }

// From a row to the next of a tile in shared memory: rows begin in different banks.
template <class A>
inline constexpr int tile_row(int columns) {
  return columns + kVector<A>;
}
// Of a tile that is written element by element and read by rows.
template <class A, int kColumns = kTile>
inline constexpr int kWeightRow = kColumns + 64 / static_cast<int>(sizeof(A));

template <class A>
__device__ const Vector<A, kVector<A>>& vector_at(const A* p) {
  return *reinterpret_cast<const Vector<A, kVector<A>>*>(p);
}

// to [kRows, tile_row(kColumns)] = from [rows, columns], zero beyond. wide: `from` and `row` are
// multiples of 16 bytes, and `columns` of kVector<T>.
template <int kRows, int kColumns, class T, class A>
__device__ void load_tile(const T* from, std::int64_t row, std::int64_t rows, std::int64_t columns,
                          bool wide, A* to) {
  constexpr int kRow = tile_row<A>(kColumns);
  if (wide) {
    constexpr int kV = kVector<T>, kOut = kVector<A>, kPerRow = kColumns / kV;
#pragma unroll 2
    for (int i = static_cast<int>(threadIdx.x); i < kRows * kPerRow; i += kTileThreads) {
      const int r = i / kPerRow, c = i % kPerRow * kV;
      Vector<T, kV> x{};
      if (r < rows && c < columns) x = *reinterpret_cast<const Vector<T, kV>*>(from + r * row + c);
#pragma unroll
      for (int first = 0; first < kV; first += kOut) {
        Vector<A, kOut> y;
#pragma unroll
        for (int u = 0; u < kOut; ++u) y.at[u] = load(x.at[first + u]);
        *reinterpret_cast<Vector<A, kOut>*>(to + r * kRow + c + first) = y;
      }
    }
  } else {
    for (int i = static_cast<int>(threadIdx.x); i < kRows * kColumns; i += kTileThreads) {
      const int r = i / kColumns, c = i % kColumns;
      to[r * kRow + c] = r < rows && c < columns ? load(from[r * row + c]) : A(0);
    }
  }
}

// sum[i][j] += a[y + 16 i, :] . b[x + 16 j, :] over the first `depth` columns, rounded up to whole
// vectors, of tiles of kColumns columns.
template <int kColumns, int kI, int kJ, class A>
__device__ void multiply_transposed(const A* a, const A* b, int depth, A (&sum)[kI][kJ]) {
  constexpr int kV = kVector<A>, kRow = tile_row<A>(kColumns);
  a += tile_y() * kRow;
  b += tile_x() * kRow;
#pragma unroll 1
  for (int d = 0; d < depth; d += kV) {
    Vector<A, kV> left[kI], right[kJ];
#pragma unroll
    for (int i = 0; i < kI; ++i) left[i] = vector_at(a + i * kSide * kRow + d);
#pragma unroll
    for (int j = 0; j < kJ; ++j) right[j] = vector_at(b + j * kSide * kRow + d);
#pragma unroll
    for (int u = 0; u < kV; ++u)
#pragma unroll
      for (int i = 0; i < kI; ++i)
#pragma unroll
        for (int j = 0; j < kJ; ++j) sum[i][j] += left[i].at[u] * right[j].at[u];
  }
}

// Columns that a thread holds of a result of kColumns columns, in vectors that lie 16 apart.
template <class A>
__device__ int tile_column(int vector) {
  return (tile_x() + kSide * vector) * kVector<A>;
}

// sum[i][..] += weights[y + 16 i, :] rows[:, ..] over the first `depth` rows, rounded up to whole
// vectors, of tile `rows` of kColumns columns. kWeights: columns of the tile of weights.
template <int kColumns, int kWeights = kTile, int kI, class A>
__device__ void multiply(const A* weights, const A* rows, int depth,
                         A (&sum)[kI][kColumns / kSide]) {
  constexpr int kV = kVector<A>, kRow = tile_row<A>(kColumns);
  constexpr int kVectors = kColumns / kSide / kV;
  static_assert(kColumns % (kSide * kV) == 0);
  weights += tile_y() * kWeightRow<A, kWeights>;
  rows += tile_column<A>(0);
#pragma unroll 1
  for (int d = 0; d < depth; d += kV) {
    Vector<A, kV> weight[kI];
#pragma unroll
    for (int i = 0; i < kI; ++i)
      weight[i] = vector_at(weights + i * kSide * kWeightRow<A, kWeights> + d);
#pragma unroll
    for (int u = 0; u < kV; ++u)
#pragma unroll
      for (int c = 0; c < kVectors; ++c) {
        const Vector<A, kV> right = vector_at(rows + (d + u) * kRow + kSide * kV * c);
#pragma unroll
        for (int i = 0; i < kI; ++i)
#pragma unroll
          for (int e = 0; e < kV; ++e) sum[i][c * kV + e] += weight[i].at[u] * right.at[e];
      }
  }
}

// to [n] = (keep == 0 ? 0 : keep * to) + from, for the n <= kVector<A> first elements. wide: `to`
// is a multiple of the size of as many elements.
template <class D, class A>
__device__ void put_vector(D* to, std::int64_t n, bool wide, A keep, const A* from) {
  constexpr int kV = kVector<A>;
  const auto put_one = [=](D& at, int i) {
    store(at, keep == 0 ? from[i] : keep * load(at) + from[i]);
  };
  if (wide && n >= kV) {
    auto* at = reinterpret_cast<Vector<D, kV>*>(to);
    Vector<D, kV> x{};
    if (keep != 0) x = *at;
#pragma unroll
    for (int i = 0; i < kV; ++i) put_one(x.at[i], i);
    *at = x;
  } else {
#pragma unroll
    for (int i = 0; i < kV; ++i)
      if (i < n) put_one(to[i], i);
  }
}

// The same of a thread's sums of one row: `to` is the row, `columns` its length.
template <int kN, class D, class A>
__device__ void put_columns(D* to, std::int64_t columns, bool wide, A keep, const A (&from)[kN]) {
  constexpr int kV = kVector<A>;
#pragma unroll
  for (int c = 0; c < kN / kV; ++c)
    put_vector(to + tile_column<A>(c), columns - tile_column<A>(c), wide, keep, from + c * kV);
}

// Of the 16 threads that share a row.
template <class A, class Combine>
__device__ A row_reduce(A x, Combine combine) {
#pragma unroll
  for (int offset = kSide / 2; offset > 0; offset /= 2)
    x = combine(x, __shfl_xor_sync(kAllLanes, x, offset));
  return x;
}

}  // namespace fusor::ops::cuda
