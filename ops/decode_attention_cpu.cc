#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "ops/cpu.h"
#include "ops/cpu_math.h"
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

// y [d] of one query over `seen` keys and values that lie `row` apart; the running maximum and sum
// of Milakov and Gimelshein 2018, https://arxiv.org/abs/1805.02867.
template <class T>
void attend(std::int64_t d, std::int64_t seen, std::int64_t row, const T* q, const T* k, const T* v,
            acc_t<T>* sum_v, T* y) {
  using A = acc_t<T>;
  const A scale = 1 / std::sqrt(static_cast<A>(d));
  A highest = -std::numeric_limits<A>::infinity(), total = 0;
  std::fill(sum_v, sum_v + d, A{0});
  for (std::int64_t first = 0; first < seen; first += kKeys) {
    const std::int64_t n = std::min(kKeys, seen - first);
    A weight[kKeys], top = highest;
    for (std::int64_t j = 0; j < n; ++j) {
      weight[j] = scale * dot(d, q, k + (first + j) * row);
      top = std::max(top, weight[j]);
    }
    for (std::int64_t j = 0; j < n; ++j) weight[j] = cpu::exp(weight[j] - top);
    const A shrink = cpu::exp(highest - top);
    total *= shrink;
    for (std::int64_t i = 0; i < d; ++i) sum_v[i] *= shrink;
    for (std::int64_t j = 0; j < n; ++j) {
      total += weight[j];
      const T* from = v + (first + j) * row;
      for (std::int64_t i = 0; i < d; ++i) sum_v[i] += weight[j] * cpu::load(from[i]);
    }
    highest = top;
  }
  for (std::int64_t i = 0; i < d; ++i) cpu::store(y[i], sum_v[i] / total);
}

}  // namespace

template <class T>
void append_to_cache(Cpu, const AttentionShape& s, const Qkv<const T>& from, std::int64_t position,
                     Heads<T> k_cache, Heads<T> v_cache) {
  const std::int64_t width = s.kv_heads * s.head_dim, seq_len = s.seq_len;
  cpu::parallel_for(s.batch * seq_len, 64, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) {
      const std::int64_t b = r / seq_len, t = r % seq_len;
      std::copy_n(from.k.at(b, t, 0), width, k_cache.at(b, position + t, 0));
      std::copy_n(from.v.at(b, t, 0), width, v_cache.at(b, position + t, 0));
    }
  });
}

// Dot products along head_dim, not tiles: with one query the keys are read once, and that is the
// cost.
template <class T>
void decode_attention(Cpu, const AttentionShape& s, std::int64_t position, const Qkv<const T>& in,
                      Heads<T> y, std::byte*) {
  const std::int64_t heads = s.heads, group = s.heads / s.kv_heads, d = s.head_dim;
  cpu::parallel_for(s.batch * heads, 1, [=](std::int64_t begin, std::int64_t end) {
    std::vector<acc_t<T>> sum_v(static_cast<std::size_t>(d));
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t b = i / heads, h = i % heads;
      attend(d, position + 1, in.k.row, in.q.at(b, 0, h), in.k.at(b, 0, h / group),
             in.v.at(b, 0, h / group), sum_v.data(), y.at(b, 0, h));
    }
  });
}

template <class T>
std::size_t decode_attention_workspace(Cpu, const AttentionShape&, std::int64_t) {
  return 0;
}

template void append_to_cache(Cpu, const AttentionShape&, const Qkv<const double>&, std::int64_t,
                              Heads<double>, Heads<double>);
template void append_to_cache(Cpu, const AttentionShape&, const Qkv<const float>&, std::int64_t,
                              Heads<float>, Heads<float>);
template void append_to_cache(Cpu, const AttentionShape&, const Qkv<const bf16>&, std::int64_t,
                              Heads<bf16>, Heads<bf16>);
template void append_to_cache(Cpu, const AttentionShape&, const Qkv<const f16>&, std::int64_t,
                              Heads<f16>, Heads<f16>);

template void decode_attention(Cpu, const AttentionShape&, std::int64_t, const Qkv<const double>&,
                               Heads<double>, std::byte*);
template void decode_attention(Cpu, const AttentionShape&, std::int64_t, const Qkv<const float>&,
                               Heads<float>, std::byte*);
template void decode_attention(Cpu, const AttentionShape&, std::int64_t, const Qkv<const bf16>&,
                               Heads<bf16>, std::byte*);
template void decode_attention(Cpu, const AttentionShape&, std::int64_t, const Qkv<const f16>&,
                               Heads<f16>, std::byte*);

template std::size_t decode_attention_workspace<double>(Cpu, const AttentionShape&, std::int64_t);
template std::size_t decode_attention_workspace<float>(Cpu, const AttentionShape&, std::int64_t);
template std::size_t decode_attention_workspace<bf16>(Cpu, const AttentionShape&, std::int64_t);
template std::size_t decode_attention_workspace<f16>(Cpu, const AttentionShape&, std::int64_t);

}  // namespace fusor::ops::kernels
