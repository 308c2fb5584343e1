#include <omp.h>

#include <cmath>

#include "ops/attention_kernels.h"
#include "ops/attention_tile.h"

// FlashAttention-2 (Dao 2023), algorithm 2, with weights p = e^(score - log_sum_exp) of scores
// q k' / sqrt(head_dim):
//   dv = p' dy,  dp = dy v',  ds = p (dp - delta),  delta = sum of dy y over head_dim,
//   dq = ds k / sqrt(head_dim),  dk = ds' q / sqrt(head_dim)
// One thread takes all queries of a sequence and key head, in order, so dk and dv are sums of one
// order on any number of threads.
namespace fusor::ops::kernels {
namespace {

using namespace cpu;

// What one thread works in.
template <class A>
struct Tiles {
  A *k, *v, *dk, *dv;      // [keys, dims] of the whole sequence
  A *q, *dy;               // [kTile, dims]
  A *q_t, *dy_t, *dq_t;    // [dims, kTile] transposed
  A *p, *ds;               // [kTile keys, kTile queries]
  A *log_sum_exp, *delta;  // [kTile]
  std::int64_t dims, keys;

  static std::int64_t padded_keys(const AttentionShape& s) {
    return round_up(s.seq_len, kTileRows);
  }
  static std::int64_t size(const AttentionShape& s) {
    return (4 * padded_keys(s) + 5 * kTile) * padded(s.head_dim) + 2 * kTile * kTile + 2 * kTile;
  }
  Tiles(A* at, const AttentionShape& s) : dims(padded(s.head_dim)), keys(padded_keys(s)) {
    const auto take = [&at](std::int64_t n) { return std::exchange(at, at + n); };
    k = take(keys * dims), v = take(keys * dims), dk = take(keys * dims), dv = take(keys * dims);
    q = take(kTile * dims), dy = take(kTile * dims);
    q_t = take(kTile * dims), dy_t = take(kTile * dims), dq_t = take(kTile * dims);
    p = take(kTile * kTile), ds = take(kTile * kTile);
    log_sum_exp = take(kTile), delta = take(kTile);
  }
};

// Queries [begin, begin + rows) of one head.
struct Queries {
  std::int64_t b, h, begin, rows, lanes;
};

template <class T, class A>
void load_queries(const Tiles<A>& t, const AttentionShape& s, const AttentionGradient<T>& g,
                  const Queries& at) {
  const std::int64_t d = s.head_dim;
  pack(at.rows, d, g.qkv.q.at(at.b, at.begin, at.h), g.qkv.q.row, A(1) / std::sqrt(A(d)), t.q,
       at.lanes, t.dims);
  transpose(at.lanes, t.dims, t.q, t.dims, t.q_t, kTile);
  pack(at.rows, d, g.dy.at(at.b, at.begin, at.h), g.dy.row, A(1), t.dy, at.lanes, t.dims);
  transpose(at.lanes, t.dims, t.dy, t.dims, t.dy_t, kTile);
  const A* log_sum_exp = g.log_sum_exp + (at.b * s.heads + at.h) * s.seq_len + at.begin;
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

// p and ds of one tile; `key` is the position of its first key.
template <class A>
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
      store_vec(p_at, p);
      store_vec(ds_at, p * (load_vec(ds_at) - delta));
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

// All queries of one sequence that read one key head.
template <class T, class A>
void differentiate(const Tiles<A>& t, const AttentionShape& s, const AttentionGradient<T>& g,
                   std::int64_t b, std::int64_t kv_head) {
  const std::int64_t n = s.seq_len, d = s.head_dim, group = s.heads / s.kv_heads;
  pack(n, d, g.qkv.k.at(b, 0, kv_head), g.qkv.k.row, A(1), t.k, t.keys, t.dims);
  pack(n, d, g.qkv.v.at(b, 0, kv_head), g.qkv.v.row, A(1), t.v, t.keys, t.dims);
  std::fill(t.dk, t.dk + t.keys * t.dims, A(0));
  std::fill(t.dv, t.dv + t.keys * t.dims, A(0));
  for (std::int64_t h = kv_head * group; h < (kv_head + 1) * group; ++h)
    for (std::int64_t begin = 0; begin < n; begin += kTile) {
      const std::int64_t rows = std::min(kTile, n - begin), lanes = round_up(rows, kLanes<A>);
      load_queries(t, s, g, {b, h, begin, rows, lanes});
      for (std::int64_t key = 0; key <= begin; key += kTile) {
        const Causal causal{begin - key, std::min(kTile, n - key)};
        weigh(t, causal, key, lanes);
        spread(t, causal, key, lanes);
      }
      transpose(t.dims, lanes, t.dq_t, kTile, t.q, t.dims);
      unpack(rows, d, t.q, t.dims, A(1) / std::sqrt(A(d)), g.dqkv.q.at(b, begin, h), g.dqkv.q.row,
             g.add);
    }
  unpack(n, d, t.dk, t.dims, A(1), g.dqkv.k.at(b, 0, kv_head), g.dqkv.k.row, g.add);
  unpack(n, d, t.dv, t.dims, A(1), g.dqkv.v.at(b, 0, kv_head), g.dqkv.v.row, g.add);
}

}  // namespace

template <class T>
void attention_backward(Cpu, const AttentionShape& s, const AttentionGradient<T>& g,
                        std::byte* workspace) {
  using A = acc_t<T>;
#pragma omp parallel
  {
    const Tiles<A> t(reinterpret_cast<A*>(workspace) + omp_get_thread_num() * Tiles<A>::size(s), s);
#pragma omp for schedule(dynamic)
    for (std::int64_t task = 0; task < s.batch * s.kv_heads; ++task)
      differentiate(t, s, g, task / s.kv_heads, task % s.kv_heads);
  }
}

template <class T>
std::size_t attention_backward_workspace(Cpu, const AttentionShape& s) {
  return static_cast<std::size_t>(omp_get_max_threads() * Tiles<acc_t<T>>::size(s)) *
         sizeof(acc_t<T>);
}

template void attention_backward(Cpu, const AttentionShape&, const AttentionGradient<double>&,
                                 std::byte*);
template void attention_backward(Cpu, const AttentionShape&, const AttentionGradient<float>&,
                                 std::byte*);
template void attention_backward(Cpu, const AttentionShape&, const AttentionGradient<bf16>&,
                                 std::byte*);
template std::size_t attention_backward_workspace<double>(Cpu, const AttentionShape&);
template std::size_t attention_backward_workspace<float>(Cpu, const AttentionShape&);
template std::size_t attention_backward_workspace<bf16>(Cpu, const AttentionShape&);

}  // namespace fusor::ops::kernels
