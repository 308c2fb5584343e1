#pragma once
#include <algorithm>
#include <cstdint>
#include <utility>

#include "ops/attention_dropout.h"
#include "ops/cpu_tile.h"

// What the CPU kernels of attention share. Work is done in tiles of kTile queries by kTile keys
// that lie in a core's cache, in the accumulator's type A. Tiles of scores are stored key by key,
// with the queries side by side: the lanes of vectors are queries, so that the softmax is a loop of
// whole vectors, and each step of the algorithm is a tile_product.
namespace fusor::ops::cpu {

inline constexpr std::int64_t kTile = 64;
inline constexpr std::int64_t kKeyBlock = 16;  // keys: the grain at which the diagonal is cut

constexpr std::int64_t round_up(std::int64_t n, std::int64_t multiple) {
  return (n + multiple - 1) / multiple * multiple;
}
// head_dim padded to whole vectors of any type
constexpr std::int64_t padded(std::int64_t head_dim) { return round_up(head_dim, 16); }

// Which scores of a tile exist: query i sees key j if j <= i + offset.
struct Causal {
  std::int64_t offset;  // position of the first query less that of the first key
  std::int64_t keys;    // in the tile

  // Calls body(key, count, lane) for blocks of keys; lanes before `lane` see none of the block.
  template <class T, class Body>
  void blocks(Body&& body) const {
    if (keys <= offset + 1) return body(std::int64_t{0}, keys, std::int64_t{0});
    for (std::int64_t j = 0; j < keys; j += kKeyBlock) {
      const std::int64_t lane = std::max<std::int64_t>(0, j - offset) / kLanes<T> * kLanes<T>;
      body(j, std::min(kKeyBlock, keys - j), lane);
    }
  }
  // The keys of the blocks that the vector from `lane` on takes part in; it sees all of [0, free).
  template <class T>
  std::int64_t keys_of(std::int64_t lane) const {
    return std::clamp<std::int64_t>(
        round_up(std::max<std::int64_t>(0, offset + lane + kLanes<T>), kKeyBlock), 0, keys);
  }
  std::int64_t free_keys(std::int64_t lane) const {
    return std::clamp<std::int64_t>(offset + lane + 1, 0, keys);
  }
};

// scores where lane i of the vector from `lane` on sees key j of the tile, else `hidden`
template <class A>
inline Vec<A> where_seen(const Causal& causal, std::int64_t lane, std::int64_t j, Vec<A> scores,
                         A hidden) {
  Vec<A> index;
  for (int i = 0; i < kLanes<A>; ++i) index[i] = static_cast<A>(i);
  const A first = static_cast<A>(j - causal.offset - lane);  // the first lane that sees key j
  return index < Vec<A>{} + first ? Vec<A>{} + hidden : scores;
}

// Which weights of a tile are kept: factors [kTile keys, kTile queries] of 0 or 1 / (1 - p). i: the
// position of the first query in its row of the batch; key: of the first key in its sequence.
template <class A>
inline void draw_kept(const WeightMask& drops, RandomKey random, std::int64_t b, std::int64_t h,
                      std::int64_t i, std::int64_t lanes, std::int64_t key, A* factors) {
  const auto p = static_cast<float>(drops.p);
  const A scale = static_cast<A>(1 / (1 - drops.p));
  for (std::int64_t n = 0; n < 16; ++n) {
#pragma omp simd
    for (std::int64_t lane = 0; lane < lanes; ++lane) {
      const auto words = drops.words(random, b, h, i + lane, key / 64, n);
      const auto factor = [&](std::uint32_t word) {
        return static_cast<float>(word >> 8) * 0x1p-24f >= p ? scale : A(0);
      };
      A* to = factors + n * kTile + lane;
      to[0] = factor(words[0]), to[16 * kTile] = factor(words[1]);
      to[32 * kTile] = factor(words[2]), to[48 * kTile] = factor(words[3]);
    }
  }
}

// to [rows, ld] = scale * from [n, d], zero beyond
template <class T, class A>
inline void pack(std::int64_t n, std::int64_t d, const T* from, std::int64_t row, A scale, A* to,
                 std::int64_t rows, std::int64_t ld) {
  for (std::int64_t i = 0; i < n; ++i) {
    const T* x = from + i * row;
    A* y = to + i * ld;
    for (std::int64_t j = 0; j < d; ++j) y[j] = scale * load(x[j]);
    std::fill(y + d, y + ld, A(0));
  }
  std::fill(to + n * ld, to + rows * ld, A(0));
}

// to [n, d] = (add ? to : 0) + scale * from [n, ld]
template <class T, class A>
inline void unpack(std::int64_t n, std::int64_t d, const A* from, std::int64_t ld, A scale, T* to,
                   std::int64_t row, bool add) {
  for (std::int64_t i = 0; i < n; ++i) {
    const A* x = from + i * ld;
    T* y = to + i * row;
    if (add)
      for (std::int64_t j = 0; j < d; ++j) store(y[j], load(y[j]) + scale * x[j]);
    else
      for (std::int64_t j = 0; j < d; ++j) store(y[j], scale * x[j]);
  }
}

// rows [begin, end) of to [.., d] = 0
template <class T>
inline void clear_rows(std::int64_t begin, std::int64_t end, std::int64_t d, T* to,
                       std::int64_t row) {
  for (std::int64_t i = begin; i < end; ++i) std::fill_n(to + i * row, d, T{});
}

}  // namespace fusor::ops::cpu
