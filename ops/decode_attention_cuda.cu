#include <cmath>

#include "ops/attention_tile_cuda.h"
#include "ops/decode_attention_kernels.h"

namespace fusor::ops::kernels {
namespace {

using cuda::is_wide;
using cuda::kWarp;

constexpr int kThreads = 256;
constexpr int kKeys = 128;     // of one block
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

// One query, its sequence and head, and the keys of a block, which are one slice of those it sees.
struct Slice {
  std::int64_t b, h, kv_head, head_dim, key;
  int keys;

  __device__ Slice(const AttentionShape& s, std::int64_t seen, std::int64_t slices)
      : head_dim(s.head_dim), key(blockIdx.x % slices * kKeys) {
    const std::int64_t head = blockIdx.x / slices;
    b = head / s.heads, h = head % s.heads, kv_head = h / (s.heads / s.kv_heads);
    keys = static_cast<int>(seen - key < kKeys ? seen - key : kKeys);
  }
};

// What the slices of each head leave to merge_kernel.
template <class A>
struct Partial {
  std::int64_t slices;
  A* y;          // [batch * heads, slices, head_dim], not yet divided by the sum
  A *max, *sum;  // [batch * heads, slices], of 2^(score - max)
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

// The scores of the slice; `lanes` neighbours share a key.
template <int kV, class T>
__device__ void score(const Slice& at, const Heads<const T>& k, int lanes, const acc_t<T>* q,
                      acc_t<T>* scores) {
  const int lane = static_cast<int>(threadIdx.x) % lanes;
  const int mine = static_cast<int>(threadIdx.x) / lanes, groups = kThreads / lanes;
  for (int first = mine; first - mine < at.keys; first += kAtOnce * groups) {  // whole warps
    acc_t<T> sum[kAtOnce];
#pragma unroll
    for (int u = 0; u < kAtOnce; ++u) {
      const int j = first + u * groups;
      const T* key = k.at(at.b, at.key + j, at.kv_head);
      sum[u] = j < at.keys ? dot<kV>(q, key, at.head_dim, lane, lanes) : 0;
    }
#pragma unroll
    for (int u = 0; u < kAtOnce; ++u) {
      for (int offset = lanes / 2; offset > 0; offset /= 2)
        sum[u] += __shfl_xor_sync(cuda::kAllLanes, sum[u], offset);
      if (lane == 0 && first + u * groups < at.keys) scores[first + u * groups] = sum[u];
    }
  }
}

template <class A>
struct Softmax {
  A max, sum;
};

// Turns the scores of a slice into weights 2^(score - max).
template <class A>
__device__ Softmax<A> weigh(int keys, A* weights) {
  static_assert(kKeys <= kThreads);
  const int j = static_cast<int>(threadIdx.x);
  const A score = j < keys ? weights[j] : -std::numeric_limits<A>::infinity();
  const A max = cuda::block_max(score), weight = std::exp2(score - max);
  if (j < keys) weights[j] = weight;
  return {max, cuda::block_sum(weight)};  // the weights are there: it has a barrier
}

// kColumns columns of y of one query and head, over one slice of its keys. Each thread sums kV
// columns over every `groups`-th key; the groups are added in order.
template <class T, int kV>
__global__ void __launch_bounds__(kThreads)
    decode_kernel(AttentionShape s, std::int64_t seen, std::int64_t slices, int lanes,
                  Qkv<const T> in, Heads<T> y, Partial<acc_t<T>> partial) {
  using A = acc_t<T>;
  __shared__ A weights[kKeys];
  __shared__ A sums[kThreads * kV];
  A* q = cuda::dynamic_shared<A>();  // [head_dim]
  const Slice at(s, seen, slices);
  const A scale = static_cast<A>(cuda::kLog2E) / std::sqrt(static_cast<A>(s.head_dim));
  for (std::int64_t c = threadIdx.x; c < s.head_dim; c += kThreads)
    q[c] = scale * cuda::load(in.q.at(at.b, 0, at.h)[c]);
  __syncthreads();
  score<kV>(at, in.k, lanes, q, weights);
  __syncthreads();
  const Softmax<A> softmax = weigh(at.keys, weights);

  const std::int64_t begin = static_cast<std::int64_t>(blockIdx.y) * kColumns;
  const int columns =
      static_cast<int>(s.head_dim - begin < kColumns ? s.head_dim - begin : kColumns);
  const int vectors = (columns + kV - 1) / kV, groups = kThreads / vectors;
  const int mine = static_cast<int>(threadIdx.x) / vectors;
  const int column = static_cast<int>(threadIdx.x) % vectors * kV;
  A of_v[kV] = {};
#pragma unroll 4
  for (int j = mine < groups ? mine : at.keys; j < at.keys; j += groups) {
    using Part = cuda::Vector<T, kV>;
    const T* v = in.v.at(at.b, at.key + j, at.kv_head) + begin + column;
    const Part x = *reinterpret_cast<const Part*>(v);
#pragma unroll
    for (int e = 0; e < kV; ++e) of_v[e] += weights[j] * cuda::load(x.at[e]);
  }
#pragma unroll
  for (int e = 0; e < kV; ++e) sums[threadIdx.x * kV + e] = of_v[e];
  __syncthreads();
  const std::int64_t place = (at.b * s.heads + at.h) * partial.slices + blockIdx.x % slices;
  for (int c = static_cast<int>(threadIdx.x); c < columns; c += kThreads) {
    A all = 0;
    for (int g = 0; g < groups; ++g) all += sums[g * vectors * kV + c];
    if (slices == 1)
      cuda::store(y.at(at.b, 0, at.h)[begin + c], all / softmax.sum);
    else
      partial.y[place * s.head_dim + begin + c] = all;
  }
  if (slices > 1 && blockIdx.y == 0 && threadIdx.x == 0)
    partial.max[place] = softmax.max, partial.sum[place] = softmax.sum;
}

// y of one head: its slices, in order.
template <class T>
__global__ void merge_kernel(AttentionShape s, std::int64_t slices, Partial<acc_t<T>> partial,
                             Heads<T> y) {
  using A = acc_t<T>;
  const std::int64_t head = blockIdx.x, first = head * partial.slices;
  A top = -std::numeric_limits<A>::infinity();
  for (std::int64_t i = 0; i < slices; ++i) top = cuda::Max()(top, partial.max[first + i]);
  for (std::int64_t c = threadIdx.x; c < s.head_dim; c += blockDim.x) {
    A all = 0, sum = 0;
    for (std::int64_t i = first; i < first + slices; ++i) {
      const A weight = std::exp2(partial.max[i] - top);
      all += weight * partial.y[i * s.head_dim + c];
      sum += weight * partial.sum[i];
    }
    cuda::store(y.at(head / s.heads, 0, head % s.heads)[c], all / sum);
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

template <class T>
std::size_t decode_attention_workspace(Cuda, const AttentionShape& s, std::int64_t capacity) {
  const std::int64_t slices = cuda::ceil_div(capacity, kKeys);
  return static_cast<std::size_t>(s.batch * s.heads * slices * (s.head_dim + 2)) * sizeof(acc_t<T>);
}

// Slices of the keys are of one length whatever the batch, so that a sequence gets the same bits in
// every batch.
template <class T>
void decode_attention(Cuda on, const AttentionShape& s, std::int64_t position,
                      const Qkv<const T>& in, Heads<T> y, std::byte* workspace) {
  using A = acc_t<T>;
  constexpr int kV = cuda::kVector<T>;
  const bool wide = s.head_dim % kV == 0 && is_wide(in.k) && is_wide(in.v);
  int lanes = 1;
  while (lanes < kWarp && lanes * (wide ? kV : 1) < s.head_dim) lanes *= 2;
  const std::int64_t heads = s.batch * s.heads, seen = position + 1,
                     slices = cuda::ceil_div(seen, kKeys);
  A* const of_y = reinterpret_cast<A*>(workspace);
  A* const max = of_y + heads * slices * s.head_dim;
  const Partial<A> partial{slices, of_y, max, max + heads * slices};
  cuda::run(on,
            {.blocks = heads * slices,
             .threads = kThreads,
             .shared = static_cast<std::size_t>(s.head_dim) * sizeof(A),
             .rows = cuda::ceil_div(s.head_dim, kColumns)},
            wide ? decode_kernel<T, kV> : decode_kernel<T, 1>, s, seen, slices, lanes, in, y,
            partial);
  if (slices > 1)
    cuda::run(on, {.blocks = heads, .threads = kColumns}, merge_kernel<T>, s, slices, partial, y);
}

#define FUSOR_DECODE_ATTENTION(T)                                                                \
  template void append_to_cache(Cuda, const AttentionShape&, const Qkv<const T>&, std::int64_t,  \
                                Heads<T>, Heads<T>);                                             \
  template std::size_t decode_attention_workspace<T>(Cuda, const AttentionShape&, std::int64_t); \
  template void decode_attention(Cuda, const AttentionShape&, std::int64_t, const Qkv<const T>&, \
                                 Heads<T>, std::byte*);
FUSOR_DECODE_ATTENTION(double)
FUSOR_DECODE_ATTENTION(float)
FUSOR_DECODE_ATTENTION(bf16)
FUSOR_DECODE_ATTENTION(f16)
#undef FUSOR_DECODE_ATTENTION

}  // namespace fusor::ops::kernels
