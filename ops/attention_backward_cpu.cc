#include <omp.h>

#include <cmath>

#include "ops/attention_kernels.h"
#include "ops/attention_tile.h"

// FlashAttention-2 (Dao 2023), algorithm 2, with weights p = e^(score - log_sum_exp) of scores
// q k' / sqrt(head_dim):
//   dv = p' dy,  dp = dy v',  ds = p (dp - delta),  delta = sum of dy y over head_dim,
//   dq = ds k / sqrt(head_dim),  dk = ds' q / sqrt(head_dim)
// With dropout, of factors f: dv = (p f)' dy and dp = f (dy v').
// One thread takes all queries of a sequence and key head, in order, so dk and dv are sums of one
// order on any number of threads.
namespace fusor::ops::kernels {
namespace {

using namespace cpu;

// What one thread works in.
template <class A>
struct Tiles {
  A *k, *v, *dk, *dv;      // [keys, dims] of all keys of a sequence
  A *q, *dy;               // [kTile, dims]
  A *q_t, *dy_t, *dq_t;    // [dims, kTile] transposed
  A *p, *ds, *kept;        // [kTile keys, kTile queries]
  A *log_sum_exp, *delta;  // [kTile]
  std::int64_t dims, keys;

  static std::int64_t size(std::int64_t head_dim, std::int64_t keys) {
    return (4 * round_up(keys, kTileRows) + 5 * kTile) * padded(head_dim) + 3 * kTile * kTile +
           2 * kTile;
  }
  Tiles(A* at, std::int64_t head_dim, std::int64_t keys_)
      : dims(padded(head_dim)), keys(round_up(keys_, kTileRows)) {
    const auto take = [&at](std::int64_t n) { return std::exchange(at, at + n); };
    k = take(keys * dims), v = take(keys * dims), dk = take(keys * dims), dv = take(keys * dims);
    q = take(kTile * dims), dy = take(kTile * dims);
    q_t = take(kTile * dims), dy_t = take(kTile * dims), dq_t = take(kTile * dims);
    p = take(kTile * kTile), ds = take(kTile * kTile), kept = take(kTile * kTile);
    log_sum_exp = take(kTile), delta = take(kTile);
  }
};

// `rows` queries of one head, from position `begin` of row b of the batch on.
struct Queries {
  std::int64_t b, h, begin, rows, lanes;
};

template <class T, class D, class A>
void load_queries(const Tiles<A>& t, const AttentionShape& s, const AttentionGradient<T, D>& g,
                  const Queries& at) {
  const std::int64_t d = s.head_dim;
  pack(at.rows, d, g.qkv.q.at(at.b, at.begin, at.h), g.qkv.q.row, A(1) / std::sqrt(A(d)), t.q,
       at.lanes, t.dims);
  transpose(at.lanes, t.dims, t.q, t.dims, t.q_t, kTile);
  pack(at.rows, d, g.dy.at(at.b, at.begin, at.h), g.dy.row, A(1), t.dy, at.lanes, t.dims);
  transpose(at.lanes, t.dims, t.dy, t.dims, t.dy_t, kTile);
  const A* log_sum_exp = g.log_sum_exp.at(at.b, at.begin, at.h);
  for (std::int64_t i = 0; i < at.lanes; ++i) {
    A delta = 0;
    if (i < at.rows) {
      const T* y = g.y.at(at.b, at.begin + i, at.h);
      const A* dy = t.dy + i * t.dims;
#pragma omp simd reduction(+ : delta)
      for (std::int64_t j = 0; j < d; ++j) delta += load(y[j]) * dy[j];
    }
    t.delta[i] = delta;
    t.log_sum_exp[i] = i < at.rows ? log_sum_exp[i] : A(0);
  }
}

// p, as it weighs values, and ds of one tile; `key` is the position of its first key.
template <bool kDrops, class A>
void weigh(const Tiles<A>& t, const Causal& causal, std::int64_t key, std::int64_t lanes) {
  causal.blocks<A>([&](std::int64_t j, std::int64_t count, std::int64_t lane) {
    const std::int64_t rows = round_up(count, kTileRows), to = j * kTile + lane;
    const std::int64_t from = (key + j) * t.dims;
    tile_product<Read::rows>(rows, lanes - lane, t.dims, t.k + from, t.dims, t.q_t + lane, kTile,
                             t.p + to, kTile, false);
    tile_product<Read::rows>(rows, lanes - lane, t.dims, t.v + from, t.dims, t.dy_t + lane, kTile,
                             t.ds + to, kTile, false);
  });
  for (std::int64_t lane = 0; lane < lanes; lane += kLanes<A>) {
    const std::int64_t keys = causal.keys_of<A>(lane), free = causal.free_keys(lane);
    const Vec<A> log_sum_exp = load_vec(t.log_sum_exp + lane), delta = load_vec(t.delta + lane);
    for (std::int64_t j = 0; j < keys; ++j) {
      A *p_at = t.p + j * kTile + lane, *ds_at = t.ds + j * kTile + lane;
      Vec<A> p = exp(load_vec(p_at) - log_sum_exp);
      if (j >= free) p = where_seen(causal, lane, j, p, A(0));
      Vec<A> dp = load_vec(ds_at), seen = p;
      if constexpr (kDrops) {
        const Vec<A> kept = load_vec(t.kept + j * kTile + lane);
        dp *= kept, seen *= kept;
      }
      store_vec(p_at, seen);
      store_vec(ds_at, p * (dp - delta));
    }
  }
}

// Adds the tile's share of dq, dk and dv.
template <class A>
void spread(const Tiles<A>& t, const Causal& causal, std::int64_t key, std::int64_t lanes) {
  causal.blocks<A>([&](std::int64_t j, std::int64_t count, std::int64_t lane) {
    const std::int64_t rows = round_up(count, kTileRows), weight = j * kTile + lane;
    const std::int64_t at = (key + j) * t.dims, query = lane * t.dims;
    tile_product<Read::rows>(rows, t.dims, lanes - lane, t.p + weight, kTile, t.dy + query, t.dims,
                             t.dv + at, t.dims, true);
    tile_product<Read::rows>(rows, t.dims, lanes - lane, t.ds + weight, kTile, t.q + query, t.dims,
                             t.dk + at, t.dims, true);
    tile_product<Read::columns>(t.dims, lanes - lane, count, t.k + at, t.dims, t.ds + weight, kTile,
                                t.dq_t + lane, kTile, key + j > 0);
  });
}

// Writes or adds dk or dv of one head, and zeroes the rest of its rows.
template <class D, class A>
void unpack_keys(const Tiles<A>& t, const Sequence& of, std::int64_t head_dim, const A* from, D* to,
                 std::int64_t row, bool add) {
  unpack(of.keys, head_dim, from, t.dims, A(1), to, row, add);
  if (!add) clear_rows(of.keys, of.kv_rows, head_dim, to, row);
}

// Writes or adds dq of a tile of queries, and its share of dk and dv.
template <class T, class D, class A>
void differentiate(const Tiles<A>& t, const AttentionShape& s, const Sequence& of,
                   const AttentionGradient<T, D>& g, std::int64_t b, std::int64_t h,
                   std::int64_t begin) {
  const std::int64_t rows = std::min(kTile, of.queries - begin), lanes = round_up(rows, kLanes<A>);
  const RandomKey random = g.drops.p > 0 ? g.drops.key() : RandomKey{};
  load_queries(t, s, g, {b, h, of.q + begin, rows, lanes});
  // Keys, and those of the last rows that products work on: their weights become 0.
  const std::int64_t seen = std::min(of.keys, round_up(of.up_to(begin + rows), kTileRows));
  for (std::int64_t key = 0; key < seen; key += kTile) {
    const Causal causal{of.first + begin - key, std::min(kTile, seen - key)};
    if (g.drops.p > 0) {
      draw_kept(g.drops, random, b, h, of.q + begin, lanes, key, t.kept);
      weigh<true>(t, causal, key, lanes);
    } else {
      weigh<false>(t, causal, key, lanes);
    }
    spread(t, causal, key, lanes);
  }
  transpose(t.dims, lanes, t.dq_t, kTile, t.q, t.dims);
  unpack(rows, s.head_dim, t.q, t.dims, A(1) / std::sqrt(A(s.head_dim)),
         g.dqkv.q.at(b, of.q + begin, h), g.dqkv.q.row, g.add_q);
}

// All queries of one sequence that read one key head.
template <class T, class D, class A>
void differentiate(const Tiles<A>& t, const AttentionShape& s, const Sequence& of,
                   const AttentionGradient<T, D>& g, std::int64_t b, std::int64_t kv_head) {
  const std::int64_t d = s.head_dim, group = s.heads / s.kv_heads;
  const std::int64_t key_rows = round_up(of.keys, kTileRows);
  pack(of.keys, d, g.qkv.k.at(b, of.kv, kv_head), g.qkv.k.row, A(1), t.k, key_rows, t.dims);
  pack(of.keys, d, g.qkv.v.at(b, of.kv, kv_head), g.qkv.v.row, A(1), t.v, key_rows, t.dims);
  std::fill(t.dk, t.dk + key_rows * t.dims, A(0));
  std::fill(t.dv, t.dv + key_rows * t.dims, A(0));
  for (std::int64_t h = kv_head * group; h < (kv_head + 1) * group; ++h) {
    for (std::int64_t begin = 0; begin < of.queries; begin += kTile)
      differentiate(t, s, of, g, b, h, begin);
    if (!g.add_q) clear_rows(of.queries, of.rows, d, g.dqkv.q.at(b, of.q, h), g.dqkv.q.row);
  }
  unpack_keys(t, of, d, t.dk, g.dqkv.k.at(b, of.kv, kv_head), g.dqkv.k.row, g.add_kv);
  unpack_keys(t, of, d, t.dv, g.dqkv.v.at(b, of.kv, kv_head), g.dqkv.v.row, g.add_kv);
}

}  // namespace

template <class T, class D>
void attention_backward(Cpu, const AttentionShape& s, const Visible& visible,
                        const AttentionGradient<T, D>& g, std::byte* workspace) {
  using A = acc_t<T>;
  const std::int64_t size = Tiles<A>::size(s.head_dim, visible.keys);
  const std::int64_t sequences = visible.sequences();
#pragma omp parallel
  {
    const Tiles<A> t(reinterpret_cast<A*>(workspace) + omp_get_thread_num() * size, s.head_dim,
                     visible.keys);
#pragma omp for schedule(dynamic)
    for (std::int64_t task = 0; task < s.batch * s.kv_heads * sequences; ++task) {
      const std::int64_t head = task / sequences, b = head / s.kv_heads;
      const Sequence of = visible.sequence(b, task % sequences, s.seq_len, g.kv_rows);
      differentiate(t, s, of, g, b, head % s.kv_heads);
    }
  }
}

template <class T, class D>
std::size_t attention_backward_workspace(Cpu, const AttentionShape& s, std::int64_t keys, bool) {
  using A = acc_t<T>;
  return static_cast<std::size_t>(omp_get_max_threads() * Tiles<A>::size(s.head_dim, keys)) *
         sizeof(A);
}

#define FUSOR_ATTENTION_BACKWARD(T, D)                                                \
  template void attention_backward(Cpu, const AttentionShape&, const Visible&,        \
                                   const AttentionGradient<T, D>&, std::byte*);       \
  template std::size_t attention_backward_workspace<T, D>(Cpu, const AttentionShape&, \
                                                          std::int64_t, bool);
FUSOR_ATTENTION_BACKWARD(double, double)
FUSOR_ATTENTION_BACKWARD(float, float)
FUSOR_ATTENTION_BACKWARD(bf16, bf16)
FUSOR_ATTENTION_BACKWARD(f16, f16)
FUSOR_ATTENTION_BACKWARD(bf16, float)
FUSOR_ATTENTION_BACKWARD(f16, float)
#undef FUSOR_ATTENTION_BACKWARD

}  // namespace fusor::ops::kernels
