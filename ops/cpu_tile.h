#pragma once
#include <array>
#include <cstdint>
#include <cstring>
#include <utility>

#include "ops/cpu.h"
#include "ops/cpu_math.h"

// Products and transposes of tiles that lie in a core's cache, for kernels too small or too
// interwoven for a library call. Vectors are the compiler's own, so the code is the same for every
// instruction set; only their width and the register blocking differ.
namespace fusor::ops::cpu {

#if defined(__AVX512F__)
inline constexpr int kVectorBytes = 64, kBlockRows = 8;  // 16 of 32 registers accumulate
#elif defined(__AVX__)
inline constexpr int kVectorBytes = 32, kBlockRows = 4;  // 8 of 16
#else
inline constexpr int kVectorBytes = 16, kBlockRows = 4;
#endif
inline constexpr int kBlockVectors = 2;
inline constexpr int kTileRows = 8;  // tile_product's m is a multiple of it

template <class T>
struct VecOf {
  using type [[gnu::vector_size(kVectorBytes)]] = T;
};
template <class T>
using Vec = typename VecOf<T>::type;
template <class T>
inline constexpr int kLanes = kVectorBytes / static_cast<int>(sizeof(T));

template <class T>
inline Vec<T> load_vec(const T* from) {
  Vec<T> x;
  std::memcpy(&x, from, sizeof x);
  return x;
}
template <class T>
inline void store_vec(T* to, const Vec<T>& x) {
  std::memcpy(to, &x, sizeof x);
}

inline Vec<float> exp(Vec<float> x) { return detail::exp<Vec<float>, Vec<std::int32_t>>(x); }
inline Vec<double> exp(Vec<double> x) {
  for (int i = 0; i < kLanes<double>; ++i) x[i] = std::exp(x[i]);
  return x;
}

// How tile_product reads a: a(i, l) = a[i * lda + l], or transposed a[l * lda + i].
enum class Read { rows, columns };

namespace detail {

template <Read kRead, int kVectors, class T>
[[gnu::always_inline]] inline void block_product(std::int64_t k, const T* a, std::int64_t lda,
                                                 const T* b, std::int64_t ldb, T* c,
                                                 std::int64_t ldc, bool add) {
  constexpr int L = kLanes<T>;
  Vec<T> sum[kBlockRows][kVectors];
  for (int i = 0; i < kBlockRows; ++i)
    for (int v = 0; v < kVectors; ++v) sum[i][v] = add ? load_vec(c + i * ldc + v * L) : Vec<T>{};
  for (std::int64_t l = 0; l < k; ++l) {
    Vec<T> row[kVectors];
    for (int v = 0; v < kVectors; ++v) row[v] = load_vec(b + l * ldb + v * L);
    for (int i = 0; i < kBlockRows; ++i) {
      const T x = kRead == Read::rows ? a[i * lda + l] : a[l * lda + i];
      for (int v = 0; v < kVectors; ++v) sum[i][v] += x * row[v];
    }
  }
  for (int i = 0; i < kBlockRows; ++i)
    for (int v = 0; v < kVectors; ++v) store_vec(c + i * ldc + v * L, sum[i][v]);
}

}  // namespace detail

// c [m, n] = (add ? c : 0) + a [m, k] b [k, n]. m is a multiple of kTileRows, n of kLanes<T>.
template <Read kRead, class T>
[[gnu::noinline]] void tile_product(std::int64_t m, std::int64_t n, std::int64_t k, const T* a,
                                    std::int64_t lda, const T* b, std::int64_t ldb, T* c,
                                    std::int64_t ldc, bool add) {
  constexpr int L = kLanes<T>;
  const std::int64_t next = kRead == Read::rows ? lda : 1;  // from a row of a to the next
  std::int64_t j = 0;
  for (; j + kBlockVectors * L <= n; j += kBlockVectors * L)
    for (std::int64_t i = 0; i < m; i += kBlockRows)
      detail::block_product<kRead, kBlockVectors>(k, a + i * next, lda, b + j, ldb, c + i * ldc + j,
                                                  ldc, add);
  for (; j < n; j += L)
    for (std::int64_t i = 0; i < m; i += kBlockRows)
      detail::block_product<kRead, 1>(k, a + i * next, lda, b + j, ldb, c + i * ldc + j, ldc, add);
}

namespace detail {

// Swaps bit kBit of the row number with that bit of the lane number (Eklundh's transpose).
template <int kBit, class T, int... kLane>
inline void swap_bit(Vec<T>* rows, std::integer_sequence<int, kLane...>) {
  constexpr int L = kLanes<T>;
  for (int i = 0; i < L; ++i) {
    if (i & kBit) continue;
    const Vec<T> a = rows[i], b = rows[i | kBit];
    rows[i] = __builtin_shufflevector(a, b, (kLane & kBit ? L + kLane - kBit : kLane)...);
    rows[i | kBit] = __builtin_shufflevector(a, b, (kLane & kBit ? L + kLane : kLane + kBit)...);
  }
}

template <int kBit, class T>
inline void transpose_lanes(Vec<T>* rows) {
  if constexpr (kBit < kLanes<T>) {
    swap_bit<kBit, T>(rows, std::make_integer_sequence<int, kLanes<T>>());
    transpose_lanes<2 * kBit, T>(rows);
  }
}

}  // namespace detail

// to [n, m] = from [m, n] transposed; m and n are multiples of kLanes<T>.
template <class T>
inline void transpose(std::int64_t m, std::int64_t n, const T* from, std::int64_t ldf, T* to,
                      std::int64_t ldt) {
  constexpr int L = kLanes<T>;
  for (std::int64_t i = 0; i < m; i += L)
    for (std::int64_t j = 0; j < n; j += L) {
      Vec<T> rows[L];
      for (int r = 0; r < L; ++r) rows[r] = load_vec(from + (i + r) * ldf + j);
      detail::transpose_lanes<1, T>(rows);
      for (int r = 0; r < L; ++r) store_vec(to + (j + r) * ldt + i, rows[r]);
    }
}

}  // namespace fusor::ops::cpu
