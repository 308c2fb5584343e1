#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "ops/cpu.h"
#include "ops/decode_attention_kernels.h"

namespace fusor::ops::kernels {
namespace {

constexpr std::int64_t kKeys = 64;  // scores in hand at a time

template <class T>
acc_t<T> dot(std::int64_t n, const T* a, const T* b) {
  acc_t<T> sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t i = 0; i < n; ++i) sum += cpu::load(a[i]) * cpu::load(b[i]);
  return sum;
}

// Copies the new tokens' keys and values behind those of earlier ones.
template <class T>
void append(const DecodeCall& call, const T* qkv, T* k_cache, T* v_cache) {
  const AttentionShape s = call.shape;
  const std::int64_t width = s.kv_heads * s.head_dim, cols = s.heads * s.head_dim + 2 * width;
  for (std::int64_t r = 0; r < s.batch * s.seq_len; ++r) {
    const std::int64_t at = (r / s.seq_len * call.capacity + call.position + r % s.seq_len) * width;
    const T* k = qkv + r * cols + s.heads * s.head_dim;
    std::copy(k, k + width, k_cache + at);
    std::copy(k + width, k + 2 * width, v_cache + at);
  }
}

// y [head_dim] of one query over `seen` keys that lie `stride` apart; the running maximum and sum
// of Milakov and Gimelshein 2018, https://arxiv.org/abs/1805.02867.
template <class T>
void attend(std::int64_t d, std::int64_t seen, std::int64_t stride, const T* q, const T* k,
            const T* v, acc_t<T>* sum_v, T* y) {
  using A = acc_t<T>;
  const A scale = 1 / std::sqrt(static_cast<A>(d));
  A highest = -std::numeric_limits<A>::infinity(), total = 0;
  std::fill(sum_v, sum_v + d, A{0});
  for (std::int64_t first = 0; first < seen; first += kKeys) {
    const std::int64_t n = std::min(kKeys, seen - first);
    A score[kKeys], top = highest;
    for (std::int64_t j = 0; j < n; ++j) {
      score[j] = scale * dot(d, q, k + (first + j) * stride);
      top = std::max(top, score[j]);
    }
    const A shrink = std::exp(highest - top);
    total *= shrink;
    for (std::int64_t i = 0; i < d; ++i) sum_v[i] *= shrink;
    for (std::int64_t j = 0; j < n; ++j) {
      const A weight = std::exp(score[j] - top);
      const T* row = v + (first + j) * stride;
      total += weight;
      for (std::int64_t i = 0; i < d; ++i) sum_v[i] += weight * cpu::load(row[i]);
    }
    highest = top;
  }
  for (std::int64_t i = 0; i < d; ++i) cpu::store(y[i], sum_v[i] / total);
}

}  // namespace

template <class T>
void cached_attention(Cpu, const DecodeCall& call, const T* qkv, T* k_cache, T* v_cache, T* y) {
  append(call, qkv, k_cache, v_cache);
  const AttentionShape s = call.shape;
  const std::int64_t d = s.head_dim, width = s.kv_heads * d, cols = s.heads * d + 2 * width;
  cpu::parallel_for(s.batch * s.seq_len * s.heads, 1, [=](std::int64_t begin, std::int64_t end) {
    std::vector<acc_t<T>> sum_v(static_cast<std::size_t>(d));
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t r = i / s.heads, h = i % s.heads, b = r / s.seq_len, t = r % s.seq_len;
      const std::int64_t at = b * call.capacity * width + h / (s.heads / s.kv_heads) * d;
      attend(d, call.position + t + 1, width, qkv + r * cols + h * d, k_cache + at, v_cache + at,
             sum_v.data(), y + r * s.heads * d + h * d);
    }
  });
}

template void cached_attention(Cpu, const DecodeCall&, const double*, double*, double*, double*);
template void cached_attention(Cpu, const DecodeCall&, const float*, float*, float*, float*);
template void cached_attention(Cpu, const DecodeCall&, const bf16*, bf16*, bf16*, bf16*);

}  // namespace fusor::ops::kernels
