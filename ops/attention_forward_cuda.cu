#include <cmath>

#include "ops/attention_tile_cuda.h"

// FlashAttention-2 (Dao 2023), algorithm 1: a block takes a tile of queries, which meets the keys
// tile by tile and keeps a running maximum and sum of its softmax. Scores are in units of log 2.
namespace fusor::ops::cuda {
namespace {

using kernels::AttentionResult;
using kernels::Qkv;

template <class T, class Y>
struct Forward {
  AttentionShape s;
  Visible visible;
  Qkv<const T> in;
  AttentionResult<T, Y> to;
  bool wide_in, wide_out;
};

template <class A, int kDims>
struct ForwardTiles {
  static constexpr int kRows = kTile * tile_row<A>(kDims);
  static constexpr std::size_t kBytes = (2 * kRows + kTile * kWeightRow<A>)*sizeof(A);

  A* queries = dynamic_shared<A>();  // [kTile, kDims]
  A* keys = queries + kRows;         // [kTile, kDims], then values
  A* weights = keys + kRows;         // [kTile queries, kTile keys]
};

// The tile of queries that a block takes, of one head.
struct QueryTile : SequenceTile {
  std::int64_t b, h, kv_head;
};

// The longest come first.
__device__ QueryTile tile_of(const AttentionShape& s, const Visible& visible, std::int64_t task) {
  const std::int64_t tiles = visible.tiles(s.seq_len, kTile), pair = task / tiles;
  const std::int64_t b = pair / s.heads, h = pair % s.heads;
  return {visible.tile(b, tiles - 1 - task % tiles, kTile, s.seq_len, visible.keys), b, h,
          h / (s.heads / s.kv_heads)};
}

// Of a thread's rows; each of the 16 threads of a row has the sum of its own columns.
template <class A>
struct RunningSoftmax {
  A max[kEach], sum[kEach];
};

// Scores of the tile of keys from `key` on. Queries stay in shared memory where they are one part.
template <int kDims, class T, class Y, class A>
__device__ void score(const Forward<T, Y>& f, const ForwardTiles<A, kDims>& at,
                      const QueryTile& tile, std::int64_t key, bool first,
                      A (&scores)[kEach][kEach]) {
  const Parts<kDims> parts{f.s.head_dim};
  const Sequence& of = tile.of;
  for (int part = 0; part < parts.count(); ++part) {
    const std::int64_t columns = parts.columns(part),
                       begin = static_cast<std::int64_t>(part) * kDims;
    __syncthreads();  // what the tiles held has been read
    if (first || parts.count() > 1)
      load_tile<kTile, kDims>(f.in.q.at(tile.b, of.q + tile.begin, tile.h) + begin, f.in.q.row,
                              of.queries - tile.begin, columns, f.wide_in, at.queries);
    load_tile<kTile, kDims>(f.in.k.at(tile.b, of.kv + key, tile.kv_head) + begin, f.in.k.row,
                            of.keys - key, columns, f.wide_in, at.keys);
    __syncthreads();
    multiply_transposed<kDims>(at.queries, at.keys, static_cast<int>(columns), scores);
  }
  const Sees sees(of);
  const A scale = static_cast<A>(kLog2E) / std::sqrt(static_cast<A>(f.s.head_dim));
#pragma unroll
  for (int i = 0; i < kEach; ++i)
#pragma unroll
    for (int j = 0; j < kEach; ++j) {
      // A query past the end sees what the last one does: its weights are numbers, and unused.
      const std::int64_t row = tile.begin + tile_y() + kSide * i, last = of.queries - 1;
      const bool seen = sees(row < last ? row : last, key + tile_x() + kSide * j);
      scores[i][j] = seen ? scores[i][j] * scale : -std::numeric_limits<A>::infinity();
    }
}

// Writes weights 2^(score - max), with the new maximum, and rescales the sums and y to it. kept(i):
// the factors of the weights of row i, of which the sums know nothing.
template <class A, int kN, class Kept>
__device__ void weigh(const A (&scores)[kEach][kEach], A* weights, RunningSoftmax<A>& softmax,
                      A (&y)[kEach][kN], const Kept& kept) {
#pragma unroll
  for (int i = 0; i < kEach; ++i) {
    const auto factors = kept(i);
    A top = softmax.max[i];
#pragma unroll
    for (int j = 0; j < kEach; ++j) top = Max()(top, scores[i][j]);
    top = row_reduce(top, Max());
    const A shrink = std::exp2(softmax.max[i] - top);
    A sum = softmax.sum[i] * shrink;
#pragma unroll
    for (int j = 0; j < kEach; ++j) {
      const A weight = std::exp2(scores[i][j] - top);
      sum += weight;
      weights[(tile_y() + kSide * i) * kWeightRow<A> + tile_x() + kSide * j] =
          factors.of(weight, j);
    }
    softmax.max[i] = top, softmax.sum[i] = sum;
#pragma unroll
    for (int c = 0; c < kN; ++c) y[i][c] *= shrink;
  }
}

// y / sum, or its share in the y over these and other keys; with the last part of the columns the
// log-sum-exp too, which the parts before it have read. Rows of padding are zero.
template <int kDims, class T, class Y, class A>
__device__ void finish(const Forward<T, Y>& f, const QueryTile& tile, int part,
                       const RunningSoftmax<A>& softmax, A (&y)[kEach][kDims / kSide]) {
  const Parts<kDims> parts{f.s.head_dim};
#pragma unroll
  for (int i = 0; i < kEach; ++i) {
    const A sum = row_reduce(softmax.sum[i], Sum());
    const std::int64_t at = tile.begin + tile_y() + kSide * i, row = tile.of.q + at;
    const bool exists = at < tile.of.queries;
    A take = 1, keep = 0, both = static_cast<A>(kLn2) * (softmax.max[i] + std::log2(sum));
    A* log_sum_exp =
        exists && f.to.log_sum_exp.data ? f.to.log_sum_exp.at(tile.b, row, tile.h) : nullptr;
    if (f.to.merge && log_sum_exp) {
      const A mine = both, other = *log_sum_exp, max = Max()(mine, other);
      both = max + std::log(std::exp(mine - max) + std::exp(other - max));
      keep = std::exp(other - both), take = std::exp(mine - both);
    }
    __syncwarp();  // the other's log-sum-exp has been read
    if (at >= tile.of.rows || (!exists && f.to.merge)) continue;
    const A scale = exists ? take / sum : A(0);
#pragma unroll
    for (int c = 0; c < kDims / kSide; ++c) y[i][c] *= scale;
    put_columns(f.to.y.at(tile.b, row, tile.h) + static_cast<std::int64_t>(part) * kDims,
                parts.columns(part), f.wide_out, keep, y[i]);
    if (log_sum_exp && part == parts.count() - 1 && tile_x() == 0) *log_sum_exp = both;
  }
}

// That should fit an SM: f64 needs more registers than two leave it.
template <class T>
inline constexpr int kBlocks = std::is_same_v<T, double> ? 1 : 2;

template <int kDims, bool kDrops, class T, class Y>
__global__ void __launch_bounds__(kTileThreads, (kBlocks<T>)) forward_kernel(Forward<T, Y> f) {
  using A = acc_t<T>;
  const ForwardTiles<A, kDims> at;
  const Parts<kDims> parts{f.s.head_dim};
  const QueryTile tile = tile_of(f.s, f.visible, blockIdx.x);
  const std::int64_t queries = tile.queries(kTile);
  const std::int64_t seen = queries > 0 ? tile.of.up_to(tile.begin + queries) : 0;
  const Drawn<kDrops, A> drawn(f.to.drops);
  for (int part = 0; part < parts.count(); ++part) {  // of y's columns
    A y[kEach][kDims / kSide] = {};
    RunningSoftmax<A> softmax;
#pragma unroll
    for (int i = 0; i < kEach; ++i)
      softmax.max[i] = -std::numeric_limits<A>::infinity(), softmax.sum[i] = 0;
    for (std::int64_t key = 0; key < seen; key += kTile) {
      A scores[kEach][kEach] = {};
      score<kDims>(f, at, tile, key, key == 0, scores);
      weigh(scores, at.weights, softmax, y, [&](int i) {
        return drawn.factors(tile.b, tile.h, tile.of.q + tile.begin + tile_y() + kSide * i, key,
                             tile_x());
      });
      __syncthreads();  // the keys have been read
      load_tile<kTile, kDims>(f.in.v.at(tile.b, tile.of.kv + key, tile.kv_head) +
                                  static_cast<std::int64_t>(part) * kDims,
                              f.in.v.row, tile.of.keys - key, parts.columns(part), f.wide_in,
                              at.keys);
      __syncthreads();
      multiply<kDims>(at.weights, at.keys, kTile, y);
    }
    finish<kDims>(f, tile, part, softmax, y);
  }
}

}  // namespace

template <class T, class Y>
void attention_tiles(Cuda on, const AttentionShape& s, const Visible& visible,
                     const Qkv<const T>& in, const AttentionResult<T, Y>& to) {
  using A = acc_t<T>;
  const bool wide_in = s.head_dim % kVector<T> == 0 && is_wide(in);
  const Forward<T, Y> f{s, visible, in, to, wide_in, is_wide(to.y)};
  on_tile_dims<ForwardTiles, A>(s.head_dim, [&]<int kDims> {
    run(on,
        {.blocks = s.batch * s.heads * visible.tiles(s.seq_len, kTile),
         .threads = kTileThreads,
         .shared = ForwardTiles<A, kDims>::kBytes},
        to.drops.p > 0 ? forward_kernel<kDims, true, T, Y> : forward_kernel<kDims, false, T, Y>, f);
  });
}

#define FUSOR_ATTENTION(T, Y)                                                                     \
  template void attention_tiles(Cuda, const AttentionShape&, const Visible&, const Qkv<const T>&, \
                                const AttentionResult<T, Y>&);
FUSOR_ATTENTION(double, double)
FUSOR_ATTENTION(float, float)
FUSOR_ATTENTION(bf16, bf16)
FUSOR_ATTENTION(f16, f16)
FUSOR_ATTENTION(bf16, float)
FUSOR_ATTENTION(f16, float)
#undef FUSOR_ATTENTION

}  // namespace fusor::ops::cuda
