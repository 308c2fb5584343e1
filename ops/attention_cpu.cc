#include <omp.h>

#include <cmath>
#include <limits>

#include "ops/attention_kernels.h"
#include "ops/attention_tile.h"

// FlashAttention-2 (Dao 2023), algorithm 1: a tile of queries meets the keys tile by tile and keeps
// a running maximum and sum of its softmax.
namespace fusor::ops::kernels {
namespace {

using namespace cpu;

// What one thread works in.
template <class A>
struct Tiles {
  A* rows;       // [kTile, dims] queries, in the end y
  A* q;          // [dims, kTile] transposed
  A *k, *v;      // [kTile, dims]
  A* scores;     // [kTile keys, kTile queries], then the weights
  A* kept;       // [kTile keys, kTile queries] factors of these
  A* y;          // [dims, kTile] transposed
  A *max, *sum;  // [kTile] of each query's scores so far
  std::int64_t dims;

  static std::int64_t size(std::int64_t dims) {
    return 5 * kTile * dims + 2 * kTile * kTile + 2 * kTile;
  }
  Tiles(A* at, std::int64_t dims_) : dims(dims_) {
    const auto take = [&at](std::int64_t n) { return std::exchange(at, at + n); };
    rows = take(kTile * dims), q = take(kTile * dims), k = take(kTile * dims);
    v = take(kTile * dims), y = take(kTile * dims), scores = take(kTile * kTile);
    kept = take(kTile * kTile);
    max = take(kTile), sum = take(kTile);
  }
};

// scores = keys queries', over the lanes that see them
template <class A>
void score(const Tiles<A>& t, const Causal& causal, std::int64_t lanes) {
  causal.blocks<A>([&](std::int64_t key, std::int64_t count, std::int64_t lane) {
    tile_product<Read::rows>(round_up(count, kTileRows), lanes - lane, t.dims, t.k + key * t.dims,
                             t.dims, t.q + lane, kTile, t.scores + key * kTile + lane, kTile,
                             false);
  });
}

// Turns scores into weights e^(score - max), with the new maximum, and rescales sum and y to it.
template <class A>
void weigh(const Tiles<A>& t, const Causal& causal, std::int64_t lanes, bool first_tile) {
  constexpr A kHidden = -std::numeric_limits<A>::infinity();
  for (std::int64_t lane = 0; lane < lanes; lane += kLanes<A>) {
    A* column = t.scores + lane;
    const std::int64_t keys = causal.keys_of<A>(lane);
    for (std::int64_t j = causal.free_keys(lane); j < keys; ++j)
      store_vec(column + j * kTile,
                where_seen(causal, lane, j, load_vec(column + j * kTile), kHidden));
    const Vec<A> before = load_vec(t.max + lane);
    Vec<A> max = before;
    for (std::int64_t j = 0; j < keys; ++j) {
      const Vec<A> s = load_vec(column + j * kTile);
      max = s > max ? s : max;
    }
    const Vec<A> shrink = exp(before - max);
    Vec<A> sum = load_vec(t.sum + lane) * shrink;
    for (std::int64_t j = 0; j < keys; ++j) {
      const Vec<A> p = exp(load_vec(column + j * kTile) - max);
      sum += p;
      store_vec(column + j * kTile, p);
    }
    store_vec(t.max + lane, max);
    store_vec(t.sum + lane, sum);
    if (!first_tile)
      for (std::int64_t d = 0; d < t.dims; ++d)
        store_vec(t.y + d * kTile + lane, load_vec(t.y + d * kTile + lane) * shrink);
  }
}

// The weights that are kept. Their sums stay those of all.
template <class A>
void drop(const Tiles<A>& t, std::int64_t keys, std::int64_t lanes) {
  for (std::int64_t j = 0; j < keys; ++j)
#pragma omp simd
    for (std::int64_t lane = 0; lane < lanes; ++lane)
      t.scores[j * kTile + lane] *= t.kept[j * kTile + lane];
}

// y += values' weights
template <class A>
void gather(const Tiles<A>& t, const Causal& causal, std::int64_t lanes, bool first_tile) {
  causal.blocks<A>([&](std::int64_t key, std::int64_t count, std::int64_t lane) {
    tile_product<Read::columns>(t.dims, lanes - lane, count, t.v + key * t.dims, t.dims,
                                t.scores + key * kTile + lane, kTile, t.y + lane, kTile,
                                !first_tile || key > 0);
  });
}

// The shares that other keys' y, of this log-sum-exp, and t.rows have in the y over both.
template <class Y, class A>
void merge(const Tiles<A>& t, std::int64_t rows, std::int64_t head_dim, Y* y, std::int64_t row,
           A* log_sum_exp) {
  for (std::int64_t i = 0; i < rows; ++i) {
    const A mine = t.max[i] + std::log(t.sum[i]), other = log_sum_exp[i];
    const A max = std::max(mine, other);
    const A both = max + std::log(std::exp(mine - max) + std::exp(other - max));
    const A keep = std::exp(other - both), take = std::exp(mine - both);
    Y* to = y + i * row;
    const A* from = t.rows + i * t.dims;
    for (std::int64_t j = 0; j < head_dim; ++j) store(to[j], keep * load(to[j]) + take * from[j]);
    log_sum_exp[i] = both;
  }
}

// y /= sum; the log-sum-exp is max + log(sum)
template <class T, class Y, class A>
void finish(const Tiles<A>& t, std::int64_t rows, std::int64_t lanes, std::int64_t head_dim,
            const AttentionResult<T, Y>& to, Y* y, A* log_sum_exp) {
  for (std::int64_t lane = 0; lane < lanes; lane += kLanes<A>) {
    const Vec<A> scale = A(1) / load_vec(t.sum + lane);
    for (std::int64_t d = 0; d < t.dims; ++d)
      store_vec(t.y + d * kTile + lane, load_vec(t.y + d * kTile + lane) * scale);
  }
  transpose(t.dims, lanes, t.y, kTile, t.rows, t.dims);
  if (to.merge) return merge(t, rows, head_dim, y, to.y.row, log_sum_exp);
  unpack<Y, A>(rows, head_dim, t.rows, t.dims, A(1), y, to.y.row, false);
  if (log_sum_exp)
    for (std::int64_t i = 0; i < rows; ++i) log_sum_exp[i] = t.max[i] + std::log(t.sum[i]);
}

// A tile of one sequence and head.
template <class T, class Y, class A>
void attend(const Tiles<A>& t, const AttentionShape& s, const SequenceTile& tile,
            const Qkv<const T>& in, const AttentionResult<T, Y>& to, std::int64_t b,
            std::int64_t h) {
  const Sequence& of = tile.of;
  const std::int64_t kv_head = h / (s.heads / s.kv_heads), d = s.head_dim;
  const std::int64_t rows = tile.queries(kTile), first = of.q + tile.begin;
  const std::int64_t seen = of.up_to(tile.begin + rows);  // keys
  if (!to.merge) clear_rows(rows, tile.rows(kTile), d, to.y.at(b, first, h), to.y.row);
  if (rows == 0) return;
  const std::int64_t lanes = round_up(rows, kLanes<A>);
  const RandomKey random = to.drops.p > 0 ? to.drops.key() : RandomKey{};
  pack(rows, d, in.q.at(b, first, h), in.q.row, A(1) / std::sqrt(A(d)), t.rows, lanes, t.dims);
  transpose(lanes, t.dims, t.rows, t.dims, t.q, kTile);
  std::fill(t.max, t.max + kTile, -std::numeric_limits<A>::infinity());
  std::fill(t.sum, t.sum + kTile, A(0));
  for (std::int64_t key = 0; key < seen; key += kTile) {
    const Causal causal{of.first + tile.begin - key, std::min(kTile, seen - key)};
    const std::int64_t key_rows = round_up(causal.keys, kTileRows);
    pack(causal.keys, d, in.k.at(b, of.kv + key, kv_head), in.k.row, A(1), t.k, key_rows, t.dims);
    pack(causal.keys, d, in.v.at(b, of.kv + key, kv_head), in.v.row, A(1), t.v, key_rows, t.dims);
    score(t, causal, lanes);
    weigh(t, causal, lanes, key == 0);
    if (to.drops.p > 0) {
      draw_kept(to.drops, random, b, h, first, lanes, key, t.kept);
      drop(t, causal.keys, lanes);
    }
    gather(t, causal, lanes, key == 0);
  }
  finish(t, rows, lanes, d, to, to.y.at(b, first, h),
         to.log_sum_exp.data ? to.log_sum_exp.at(b, first, h) : nullptr);
}

}  // namespace

template <class T, class Y>
void attention(Cpu, const AttentionShape& s, const Visible& visible, const Qkv<const T>& in,
               const AttentionResult<T, Y>& to, std::byte* workspace) {
  using A = acc_t<T>;
  const std::int64_t dims = padded(s.head_dim), tiles = visible.tiles(s.seq_len, kTile);
  const std::int64_t tasks = s.batch * s.heads * tiles;
#pragma omp parallel
  {
    const Tiles<A> t(reinterpret_cast<A*>(workspace) + omp_get_thread_num() * Tiles<A>::size(dims),
                     dims);
#pragma omp for schedule(dynamic)
    for (std::int64_t task = 0; task < tasks; ++task) {
      const std::int64_t pair = task / tiles,
                         b = pair / s.heads;               // a head's keys stay in the cache
      const std::int64_t tile = tiles - 1 - task % tiles;  // the longest task first
      attend(t, s, visible.tile(b, tile, kTile, s.seq_len, visible.keys), in, to, b,
             pair % s.heads);
    }
  }
}

template <class T>
std::size_t attention_workspace(Cpu, const AttentionShape& s, bool) {
  return static_cast<std::size_t>(omp_get_max_threads() *
                                  Tiles<acc_t<T>>::size(padded(s.head_dim))) *
         sizeof(acc_t<T>);
}

#define FUSOR_ATTENTION(T, Y)                                                              \
  template void attention(Cpu, const AttentionShape&, const Visible&, const Qkv<const T>&, \
                          const AttentionResult<T, Y>&, std::byte*);
FUSOR_ATTENTION(double, double)
FUSOR_ATTENTION(float, float)
FUSOR_ATTENTION(bf16, bf16)
FUSOR_ATTENTION(f16, f16)
FUSOR_ATTENTION(bf16, float)
FUSOR_ATTENTION(f16, float)
#undef FUSOR_ATTENTION
template std::size_t attention_workspace<double>(Cpu, const AttentionShape&, bool);
template std::size_t attention_workspace<float>(Cpu, const AttentionShape&, bool);
template std::size_t attention_workspace<bf16>(Cpu, const AttentionShape&, bool);
template std::size_t attention_workspace<f16>(Cpu, const AttentionShape&, bool);

}  // namespace fusor::ops::kernels
