#pragma once
#include <array>
#include <type_traits>

#include "ops/attention_cuda.h"
#include "ops/cuda_random.h"
#include "ops/cuda_tile.h"

// What the own CUDA kernels of attention and of its backward share.
namespace fusor::ops::cuda {

// Calls f.template operator()<kDims>() with the columns of a tile that hold head_dim, or a part of
// it: longer heads are taken in several. Tiles<A, kDims> must fit the shared memory of the device;
// the smallest do on every GPU.
template <template <class, int> class Tiles, class A, class F>
void on_tile_dims(std::int64_t head_dim, F&& f) {
  if constexpr (std::is_same_v<A, double>)
    f.template operator()<32>();
  else if (head_dim <= 64 || Tiles<A, 128>::kBytes > most_shared_memory())
    f.template operator()<64>();
  else
    f.template operator()<128>();
}

// Whether every vector of the heads can be moved 16 bytes at a time, given such a head_dim.
template <class T>
bool is_wide(const kernels::Heads<T>& x) {
  constexpr std::int64_t kV = kVector<T>;
  return is_aligned(x.data) && x.row % kV == 0 && x.batch % kV == 0 && x.head % kV == 0;
}
template <class T>
bool is_wide(const kernels::Qkv<T>& x) {
  return is_wide(x.q) && is_wide(x.k) && is_wide(x.v);
}

inline constexpr double kLog2E = 1.4426950408889634, kLn2 = 0.6931471805599453;

// head_dim in parts of kDims columns.
template <int kDims>
struct Parts {
  std::int64_t head_dim;
  __host__ __device__ int count() const { return static_cast<int>((head_dim + kDims - 1) / kDims); }
  __device__ std::int64_t columns(int part) const {
    const std::int64_t left = head_dim - static_cast<std::int64_t>(part) * kDims;
    return left < kDims ? left : kDims;
  }
};

// Whether query i sees key j, and both exist.
struct Sees {
  std::int64_t first, keys, queries;
  __device__ explicit Sees(const Sequence& of)
      : first(of.first), keys(of.keys), queries(of.queries) {}
  __device__ bool operator()(std::int64_t i, std::int64_t j) const {
    return i < queries && j < keys && j <= first + i;
  }
};

// What dropout makes of a thread's kEach weights of one query: tile_x() + kSide n along the keys,
// or as many of another thread's number. Without dropout, themselves.
template <bool kDrops, class A>
struct Factors {
  std::array<std::uint32_t, 4> words{};
  std::uint32_t limit = 0;  // see drop_limit
  A scale = 1;

  __device__ A of(A weight, int n) const {
    if constexpr (kDrops) return words[n] >> 8 >= limit ? weight * scale : A(0);
    return weight;
  }
};

template <bool kDrops, class A>
struct Drawn {
  WeightMask drops;
  RandomKey key{};
  std::uint32_t limit = 0;
  A scale = 1;

  __device__ explicit Drawn(const WeightMask& mask) : drops(mask) {
    if constexpr (kDrops)
      key = drops.key(), limit = drop_limit(drops.p), scale = static_cast<A>(1 / (1 - drops.p));
  }
  // Of the query at position i of row b of the batch and the tile of keys from `key_tile` on.
  __device__ Factors<kDrops, A> factors(std::int64_t b, std::int64_t h, std::int64_t i,
                                        std::int64_t key_tile, int lane) const {
    if constexpr (kDrops) return {drops.words(key, b, h, i, key_tile / kTile, lane), limit, scale};
    return {};
  }
};

}  // namespace fusor::ops::cuda
