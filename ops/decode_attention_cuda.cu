#include <cmath>

#include "ops/attention_tile_cuda.h"
#include "ops/decode_attention_kernels.h"

namespace fusor::ops::kernels {
namespace {

using cuda::is_wide;
using cuda::kWarp;

constexpr int kThreads = 512;
constexpr int kKeys = 1024;    // weights in hand at a time
constexpr int kColumns = 128;  // of y, of one block
constexpr int kAtOnce = 4;     // keys that a thread loads before it needs the first

// kV elements at a time.
template <class T, int kV>
__global__ void append_kernel(std::int64_t rows, std::int64_t seq_len, std::int64_t width,
                              std::int64_t position, Heads<const T> k, Heads<const T> v,
                              Heads<T> k_cache, Heads<T> v_cache) {
  using Part = cuda::Vector<T, kV>;
  const bool is_k = blockIdx.y == 0;
  const std::int64_t parts = width / kV;
  for (std::int64_t i = cuda::first_round(); i < rows * parts; i += cuda::rounds_at_once()) {
    const std::int64_t row = i / parts, b = row / seq_len, t = row % seq_len, c = i % parts * kV;
    const T* from = is_k ? k.at(b, t, 0) : v.at(b, t, 0);
    T* to = is_k ? k_cache.at(b, position + t, 0) : v_cache.at(b, position + t, 0);
    *reinterpret_cast<Part*>(to + c) = *reinterpret_cast<const Part*>(from + c);
  }
}

// One query: its sequence and head.
struct Query {
  std::int64_t b, h, kv_head, head_dim;
};

template <int kV, class T>
__device__ acc_t<T> dot(const acc_t<T>* q, const T* k, std::int64_t head_dim, int lane, int lanes) {
  using Part = cuda::Vector<T, kV>;
  acc_t<T> sum = 0;
  for (std::int64_t c = lane * kV; c < head_dim; c += lanes * kV) {
    const Part x = *reinterpret_cast<const Part*>(k + c);
#pragma unroll
    for (int e = 0; e < kV; ++e) sum += q[c + e] * cuda::load(x.at[e]);
  }
  return sum;
}

// scores [n] of the keys from `key` on; `lanes` neighbours share a key.
template <int kV, class T>
__device__ void score(const Query& at, const Heads<const T>& k, std::int64_t key, int n, int lanes,
                      const acc_t<T>* q, acc_t<T>* scores) {
  const int lane = static_cast<int>(threadIdx.x) % lanes;
  const int mine = static_cast<int>(threadIdx.x) / lanes, groups = kThreads / lanes;
  for (int first = mine; first - mine < n; first += kAtOnce * groups) {  // whole warps
    acc_t<T> sum[kAtOnce];
#pragma unroll
    for (int u = 0; u < kAtOnce; ++u) {
      const int j = first + u * groups;
      sum[u] = j < n ? dot<kV>(q, k.at(at.b, key + j, at.kv_head), at.head_dim, lane, lanes) : 0;
    }
#pragma unroll
    for (int u = 0; u < kAtOnce; ++u) {
      for (int offset = lanes / 2; offset > 0; offset /= 2)
        sum[u] += __shfl_xor_sync(cuda::kAllLanes, sum[u], offset);
      if (lane == 0 && first + u * groups < n) scores[first + u * groups] = sum[u];
    }
  }
}

// Turns scores into weights 2^(score - max) and adds them to the thread's sum. Returns what earlier
// sums shrink by.
template <class A>
__device__ A weigh(int n, A* weights, A& max, A& sum) {
  A top = max;
  for (int j = static_cast<int>(threadIdx.x); j < n; j += kThreads)
    top = cuda::Max()(top, weights[j]);
  top = cuda::block_max(top);
  const A shrink = std::exp2(max - top);
  sum *= shrink;
  for (int j = static_cast<int>(threadIdx.x); j < n; j += kThreads) {
    weights[j] = std::exp2(weights[j] - top);
    sum += weights[j];
  }
  max = top;
  return shrink;
}

// kColumns columns of y of one query and head, over keys [0, seen). Each thread sums kV columns
// over every `groups`-th key; the groups are added in order.
template <class T, int kV>
__global__ void __launch_bounds__(kThreads, 1)
    decode_kernel(AttentionShape s, std::int64_t seen, int lanes, Qkv<const T> in, Heads<T> y) {
  using A = acc_t<T>;
  __shared__ A weights[kKeys];
  __shared__ A sums[kThreads * kV];
  A* q = cuda::dynamic_shared<A>();  // [head_dim]
  const std::int64_t h = blockIdx.x % s.heads;
  const Query at{blockIdx.x / s.heads, h, h / (s.heads / s.kv_heads), s.head_dim};
  const A scale = static_cast<A>(cuda::kLog2E) / std::sqrt(static_cast<A>(s.head_dim));
  for (std::int64_t c = threadIdx.x; c < s.head_dim; c += kThreads)
    q[c] = scale * cuda::load(in.q.at(at.b, 0, h)[c]);

  const std::int64_t begin = static_cast<std::int64_t>(blockIdx.y) * kColumns;
  const int columns =
      static_cast<int>(s.head_dim - begin < kColumns ? s.head_dim - begin : kColumns);
  const int vectors = (columns + kV - 1) / kV, groups = kThreads / vectors;
  const int mine = static_cast<int>(threadIdx.x) / vectors;
  const int column = static_cast<int>(threadIdx.x) % vectors * kV;
  A max = -std::numeric_limits<A>::infinity(), sum = 0, of_v[kV] = {};
  for (std::int64_t key = 0; key < seen; key += kKeys) {
    const int n = static_cast<int>(seen - key < kKeys ? seen - key : kKeys);
    __syncthreads();  // q is there, and the weights before have been read
    score<kV>(at, in.k, key, n, lanes, q, weights);
    __syncthreads();
    const A shrink = weigh(n, weights, max, sum);
    __syncthreads();
#pragma unroll
    for (int e = 0; e < kV; ++e) of_v[e] *= shrink;
#pragma unroll 4
    for (int j = mine < groups ? mine : n; j < n; j += groups) {
      using Part = cuda::Vector<T, kV>;
      const T* v = in.v.at(at.b, key + j, at.kv_head) + begin + column;
      const Part x = *reinterpret_cast<const Part*>(v);
#pragma unroll
      for (int e = 0; e < kV; ++e) of_v[e] += weights[j] * cuda::load(x.at[e]);
    }
  }
  const A total = cuda::block_sum(sum);
#pragma unroll
  for (int e = 0; e < kV; ++e) sums[threadIdx.x * kV + e] = of_v[e];
  __syncthreads();
  for (int c = static_cast<int>(threadIdx.x); c < columns; c += kThreads) {
    A all = 0;
    for (int g = 0; g < groups; ++g) all += sums[g * vectors * kV + c];
    cuda::store(y.at(at.b, 0, h)[begin + c], all / total);
  }
}

}  // namespace

template <class T>
void append_to_cache(Cuda on, const AttentionShape& s, const Qkv<const T>& from,
                     std::int64_t position, Heads<T> k_cache, Heads<T> v_cache) {
  constexpr int kV = cuda::kVector<T>, kAppendThreads = 256;
  const std::int64_t rows = s.batch * s.seq_len, width = s.kv_heads * s.head_dim;
  const bool wide =
      width % kV == 0 && is_wide(from.k) && is_wide(from.v) && is_wide(k_cache) && is_wide(v_cache);
  cuda::run(on,
            {.blocks = cuda::loop_blocks(rows * width / (wide ? kV : 1), kAppendThreads),
             .threads = kAppendThreads,
             .rows = 2},
            wide ? append_kernel<T, kV> : append_kernel<T, 1>, rows, s.seq_len, width, position,
            from.k, from.v, k_cache, v_cache);
}

// A block reads the keys of one head once, and then its values.
template <class T>
void decode_attention(Cuda on, const AttentionShape& s, std::int64_t position,
                      const Qkv<const T>& in, Heads<T> y) {
  constexpr int kV = cuda::kVector<T>;
  const bool wide = s.head_dim % kV == 0 && is_wide(in.k) && is_wide(in.v);
  int lanes = 1;
  while (lanes < kWarp && lanes * (wide ? kV : 1) < s.head_dim) lanes *= 2;
  cuda::run(on,
            {.blocks = s.batch * s.heads,
             .threads = kThreads,
             .shared = static_cast<std::size_t>(s.head_dim) * sizeof(acc_t<T>),
             .rows = cuda::ceil_div(s.head_dim, kColumns)},
            wide ? decode_kernel<T, kV> : decode_kernel<T, 1>, s, position + 1, lanes, in, y);
}

#define FUSOR_DECODE_ATTENTION(T)                                                                \
  template void append_to_cache(Cuda, const AttentionShape&, const Qkv<const T>&, std::int64_t,  \
                                Heads<T>, Heads<T>);                                             \
  template void decode_attention(Cuda, const AttentionShape&, std::int64_t, const Qkv<const T>&, \
                                 Heads<T>);
FUSOR_DECODE_ATTENTION(double)
FUSOR_DECODE_ATTENTION(float)
FUSOR_DECODE_ATTENTION(bf16)
FUSOR_DECODE_ATTENTION(f16)
#undef FUSOR_DECODE_ATTENTION

}  // namespace fusor::ops::kernels
