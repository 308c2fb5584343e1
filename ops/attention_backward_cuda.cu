#include <cmath>

#include "ops/attention_tile_cuda.h"

// FlashAttention-2 (Dao 2023), algorithm 2, as in attention_backward_cpu.cc; dq apart from dk and
// dv, so that each is a sum of one order, without atomics. Scores are in units of log 2.
namespace fusor::ops::cuda {
namespace {

using kernels::AttentionGradient;
using kernels::Heads;

template <class T, class D>
struct Backward {
  AttentionShape s;
  Visible visible;
  AttentionGradient<T, D> g;
  Heads<const acc_t<T>> delta;  // sum of dy y over head_dim, of each query
  bool wide_in, wide_out;
};

// delta: a warp takes a query and head.
template <class T, class D>
__global__ void delta_kernel(Backward<T, D> f, acc_t<T>* delta) {
  const AttentionShape& s = f.s;
  const std::int64_t at = cuda::first_round() / kWarp;
  if (at >= s.batch * s.heads * s.seq_len) return;
  const std::int64_t i = at % s.seq_len, h = at / s.seq_len % s.heads, b = at / s.seq_len / s.heads;
  const T *y = f.g.y.at(b, i, h), *dy = f.g.dy.at(b, i, h);
  acc_t<T> sum = 0;
  for (std::int64_t c = static_cast<int>(threadIdx.x) % kWarp; c < s.head_dim; c += kWarp)
    sum += load(y[c]) * load(dy[c]);
  sum = warp_sum(sum);
  if (threadIdx.x % kWarp == 0) delta[at] = sum;
}

// Columns of the weights that shared memory holds at once: in f64 half of them, since a block has
// 99 KiB on GPUs of compute capability 8.6 and 8.9.
template <class A>
inline constexpr int kWeights = std::is_same_v<A, double> ? kTile / 2 : kTile;

template <class A, int kDims>
struct BackwardTiles {
  static constexpr int kRows = kTile * tile_row<A>(kDims);
  static constexpr std::size_t kBytes = (4 * kRows + kTile * kWeightRow<A, kWeights<A>>)*sizeof(A);

  A *q = dynamic_shared<A>(), *dy = q + kRows;  // [kTile queries, kDims]
  A *k = dy + kRows, *v = k + kRows;            // [kTile keys, kDims]
  A* weights = v + kRows;                       // [kTile, kWeights]
};

// A tile of queries of one head and a tile of keys, of a sequence.
struct Pair {
  Sequence of;
  std::int64_t b, h, kv_head, query, key;
};

// Loads a part of the tiles' columns; `load_queries` and `load_keys`: unless it is there.
template <int kDims, class T, class D, class A>
__device__ void load_part(const Backward<T, D>& f, const BackwardTiles<A, kDims>& at,
                          const Pair& pair, int part, bool load_queries, bool load_keys) {
  const Parts<kDims> parts{f.s.head_dim};
  const std::int64_t columns = parts.columns(part), begin = static_cast<std::int64_t>(part) * kDims;
  const Sequence& of = pair.of;
  const auto load = [&](const Heads<const T>& from, std::int64_t row, std::int64_t rows,
                        std::int64_t head, A* to) {
    load_tile<kTile, kDims>(from.at(pair.b, row, head) + begin, from.row, rows, columns, f.wide_in,
                            to);
  };
  if (load_queries) {
    load(f.g.qkv.q, of.q + pair.query, of.queries - pair.query, pair.h, at.q);
    load(f.g.dy, of.q + pair.query, of.queries - pair.query, pair.h, at.dy);
  }
  if (load_keys) {
    load(f.g.qkv.k, of.kv + pair.key, of.keys - pair.key, pair.kv_head, at.k);
    load(f.g.qkv.v, of.kv + pair.key, of.keys - pair.key, pair.kv_head, at.v);
  }
}

// p = q k', ds = dy v', or with kKeyRows their transposes, over all parts of the columns, of which
// `last` stays in the tiles. fresh_queries, fresh_keys: the tiles do not hold them yet.
template <bool kKeyRows, int kDims, class T, class D, class A>
__device__ void score(const Backward<T, D>& f, const BackwardTiles<A, kDims>& at, const Pair& pair,
                      int last, bool fresh_queries, bool fresh_keys, A (&p)[kEach][kEach],
                      A (&ds)[kEach][kEach]) {
  const Parts<kDims> parts{f.s.head_dim};
  const bool several = parts.count() > 1;
  for (int n = 1; n <= parts.count(); ++n) {
    const int part = (last + n) % parts.count(), depth = static_cast<int>(parts.columns(part));
    __syncthreads();  // what the tiles held has been read
    load_part<kDims>(f, at, pair, part, fresh_queries || several, fresh_keys || several);
    __syncthreads();
    multiply_transposed<kDims>(kKeyRows ? at.k : at.q, kKeyRows ? at.q : at.k, depth, p);
    multiply_transposed<kDims>(kKeyRows ? at.v : at.dy, kKeyRows ? at.dy : at.v, depth, ds);
  }
}

// p = e^(score - log_sum_exp) where seen, else 0;  ds = p (dp - delta), and then p as it weighs
// values
template <bool kKeyRows, bool kDrops, class T, class D, class A>
__device__ void weigh(const Backward<T, D>& f, const Pair& pair, const Drawn<kDrops, A>& drawn,
                      A (&p)[kEach][kEach], A (&ds)[kEach][kEach]) {
  const Sees sees(pair.of);
  const A* log_sum_exp = f.g.log_sum_exp.at(pair.b, pair.of.q, pair.h);
  const A* delta = f.delta.at(pair.b, pair.of.q, pair.h);
  const A scale = static_cast<A>(kLog2E) / std::sqrt(static_cast<A>(f.s.head_dim));
#pragma unroll
  for (int n = 0; n < kEach; ++n) {
    const std::int64_t i = pair.query + (kKeyRows ? tile_x() : tile_y()) + kSide * n;
    const bool exists = i < pair.of.queries;
    const A most = exists ? static_cast<A>(kLog2E) * log_sum_exp[i * f.g.log_sum_exp.row] : A(0);
    const A mean = exists ? delta[i] : A(0);
    const auto factors =
        drawn.factors(pair.b, pair.h, pair.of.q + i, pair.key, kKeyRows ? tile_y() : tile_x());
#pragma unroll
    for (int m = 0; m < kEach; ++m) {
      const std::int64_t j = pair.key + (kKeyRows ? tile_y() : tile_x()) + kSide * m;
      A& weight = kKeyRows ? p[m][n] : p[n][m];
      A& slope = kKeyRows ? ds[m][n] : ds[n][m];
      weight = sees(i, j) ? std::exp2(weight * scale - most) : A(0);
      slope = weight * (factors.of(slope, m) - mean);
      weight = factors.of(weight, m);
    }
  }
}

// sum += weights rows, of a thread's own weights and a tile
template <int kDims, class A>
__device__ void add_product(const A (&weights)[kEach][kEach], A* shared, const A* rows,
                            A (&sum)[kEach][kDims / kSide]) {
  constexpr int kN = kWeights<A>, kAtOnce = kN / kSide;
#pragma unroll
  for (int first = 0; first < kEach; first += kAtOnce) {
    __syncwarp();  // the weights before these have been read, by the half warp that wrote them
#pragma unroll
    for (int i = 0; i < kEach; ++i)
#pragma unroll
      for (int j = 0; j < kAtOnce; ++j)
        shared[(tile_y() + kSide * i) * kWeightRow<A, kN> + tile_x() + kSide * j] =
            weights[i][first + j];
    __syncwarp();
    multiply<kDims, kN>(shared, rows + first * kSide * tile_row<A>(kDims), kN, sum);
  }
}

// Rows [begin, begin + rows) of a tensor's head, of which a tile holds the first.
struct Place {
  std::int64_t b, head, begin, rows;
};

// to = (add ? to : 0) + scale * sum, for a tile's rows
template <int kDims, class D, class A>
__device__ void put_rows(const Heads<D>& to, const Place& at, const Parts<kDims>& parts, int part,
                         bool wide, bool add, A scale, A (&sum)[kEach][kDims / kSide]) {
#pragma unroll
  for (int i = 0; i < kEach; ++i) {
    const std::int64_t row = tile_y() + kSide * i;
    if (row >= at.rows) continue;
#pragma unroll
    for (int c = 0; c < kDims / kSide; ++c) sum[i][c] *= scale;
    put_columns(to.at(at.b, at.begin + row, at.head) + static_cast<std::int64_t>(part) * kDims,
                parts.columns(part), wide, add ? A(1) : A(0), sum[i]);
  }
}

// Two blocks of small tiles fit an SM, and one of large ones. f64 needs more registers than two
// leave it.
template <class A, int kDims>
inline constexpr int kBlocks =
    !std::is_same_v<A, double> && BackwardTiles<A, kDims>::kBytes <= (100 << 10) ? 2 : 1;

// A part of the columns of dq, of a tile of queries. The longest come first.
template <int kDims, bool kDrops, class T, class D>
__global__ void __launch_bounds__(kTileThreads, (kBlocks<acc_t<T>, kDims>))
    queries_kernel(Backward<T, D> f) {
  using A = acc_t<T>;
  const AttentionShape& s = f.s;
  const BackwardTiles<A, kDims> at;
  const Parts<kDims> parts{s.head_dim};
  const std::int64_t tiles = f.visible.tiles(s.seq_len, kTile), task = blockIdx.x / tiles;
  const std::int64_t b = task / s.heads, h = task % s.heads;
  const SequenceTile tile =
      f.visible.tile(b, tiles - 1 - blockIdx.x % tiles, kTile, s.seq_len, f.g.kv_rows);
  Pair pair{tile.of, b, h, h / (s.heads / s.kv_heads), tile.begin, 0};
  const int part = static_cast<int>(blockIdx.y);
  const std::int64_t queries = tile.queries(kTile);
  const std::int64_t seen = queries > 0 ? tile.of.up_to(tile.begin + queries) : 0;
  const Drawn<kDrops, A> drawn(f.g.drops);
  A dq[kEach][kDims / kSide] = {};
  for (; pair.key < seen; pair.key += kTile) {
    A p[kEach][kEach] = {}, ds[kEach][kEach] = {};
    score<false, kDims>(f, at, pair, part, pair.key == 0, true, p, ds);
    weigh<false>(f, pair, drawn, p, ds);
    add_product<kDims>(ds, at.weights, at.k, dq);
  }
  const A scale = 1 / std::sqrt(static_cast<A>(s.head_dim));
  put_rows<kDims>(f.g.dqkv.q, {b, h, tile.of.q + tile.begin, tile.rows(kTile)}, parts, part,
                  f.wide_out, f.g.add_q, scale, dq);
}

// A part of the columns of dk and dv, of a tile of keys: the sum over all heads that read it and
// all queries that see it, in order.
template <int kDims, bool kDrops, class T, class D>
__global__ void __launch_bounds__(kTileThreads, (kBlocks<acc_t<T>, kDims>))
    keys_kernel(Backward<T, D> f) {
  using A = acc_t<T>;
  const AttentionShape& s = f.s;
  const BackwardTiles<A, kDims> at;
  const Parts<kDims> parts{s.head_dim};
  const std::int64_t tiles = f.visible.tiles(f.g.kv_rows, kTile), task = blockIdx.x / tiles;
  const std::int64_t b = task / s.kv_heads, kv_head = task % s.kv_heads;
  const std::int64_t group = s.heads / s.kv_heads;
  const SequenceTile tile = f.visible.tile(b, blockIdx.x % tiles, kTile, s.seq_len, f.g.kv_rows);
  const Sequence& of = tile.of;
  Pair pair{of, b, kv_head * group, kv_head, 0, tile.begin};
  const int part = static_cast<int>(blockIdx.y);
  const std::int64_t hidden = pair.key - of.first;  // queries that see nothing of the tile
  const std::int64_t first = pair.key >= of.keys ? of.queries
                             : hidden > 0        ? hidden / kTile * kTile
                                                 : 0;
  const Drawn<kDrops, A> drawn(f.g.drops);
  A dk[kEach][kDims / kSide] = {}, dv[kEach][kDims / kSide] = {};
  bool fresh = true;
  for (; pair.h < (kv_head + 1) * group; ++pair.h)
    for (pair.query = first; pair.query < of.queries; pair.query += kTile, fresh = false) {
      A p[kEach][kEach] = {}, ds[kEach][kEach] = {};
      score<true, kDims>(f, at, pair, part, true, fresh, p, ds);
      weigh<true>(f, pair, drawn, p, ds);
      add_product<kDims>(p, at.weights, at.dy, dv);
      add_product<kDims>(ds, at.weights, at.q, dk);
    }
  const A scale = 1 / std::sqrt(static_cast<A>(s.head_dim));
  const Place place{b, kv_head, of.kv + tile.begin, tile.kv_rows(kTile)};
  put_rows<kDims>(f.g.dqkv.k, place, parts, part, f.wide_out, f.g.add_kv, scale, dk);
  put_rows<kDims>(f.g.dqkv.v, place, parts, part, f.wide_out, f.g.add_kv, A(1), dv);
}

}  // namespace

template <class T, class D>
void attention_backward_tiles(Cuda on, const AttentionShape& s, const Visible& visible,
                              const AttentionGradient<T, D>& g, std::byte* workspace) {
  using A = acc_t<T>;
  A* delta = reinterpret_cast<A*>(workspace);
  const bool wide_in = s.head_dim % kVector<T> == 0 && is_wide(g.qkv) && is_wide(g.dy);
  const Backward<T, D> f{s,       visible,        g, {delta, 1, s.heads * s.seq_len, s.seq_len},
                         wide_in, is_wide(g.dqkv)};
  const bool drops = g.drops.p > 0;
  constexpr int kWarps = 8;
  run(on, {.blocks = ceil_div(s.batch * s.heads * s.seq_len, kWarps), .threads = kWarps * kWarp},
      delta_kernel<T, D>, f, delta);
  on_tile_dims<BackwardTiles, A>(s.head_dim, [&]<int kDims> {
    Grid grid{.blocks = s.batch * s.heads * visible.tiles(s.seq_len, kTile),
              .threads = kTileThreads,
              .shared = BackwardTiles<A, kDims>::kBytes,
              .rows = Parts<kDims>{s.head_dim}.count()};
    run(on, grid, drops ? queries_kernel<kDims, true, T, D> : queries_kernel<kDims, false, T, D>,
        f);
    grid.blocks = s.batch * s.kv_heads * visible.tiles(g.kv_rows, kTile);
    run(on, grid, drops ? keys_kernel<kDims, true, T, D> : keys_kernel<kDims, false, T, D>, f);
  });
}

#define FUSOR_ATTENTION_BACKWARD(T, D)                                                \
  template void attention_backward_tiles(Cuda, const AttentionShape&, const Visible&, \
                                         const AttentionGradient<T, D>&, std::byte*);
FUSOR_ATTENTION_BACKWARD(double, double)
FUSOR_ATTENTION_BACKWARD(float, float)
FUSOR_ATTENTION_BACKWARD(bf16, bf16)
FUSOR_ATTENTION_BACKWARD(f16, f16)
FUSOR_ATTENTION_BACKWARD(bf16, float)
FUSOR_ATTENTION_BACKWARD(f16, float)
#undef FUSOR_ATTENTION_BACKWARD

}  // namespace fusor::ops::cuda
