#include "ops/decode_attention.h"

#include <type_traits>

#include "ops/decode_attention_kernels.h"

namespace fusor {
namespace {

using ops::kernels::Heads;

void check(const Tensor& qkv, const KvCache& cache, const AttentionShape& s,
           std::int64_t position) {
  ops::check_qkv("cached_attention", qkv, s);
  require(cache.k.rank() == 3 && cache.k.shape() == cache.v.shape() && cache.k.dim(0) == s.batch &&
              cache.k.dim(2) == s.kv_heads * s.head_dim && cache.k.dtype() == qkv.dtype() &&
              cache.v.dtype() == qkv.dtype(),
          "cached_attention: caches ", cache.k.shape(), " ", cache.k.dtype(), " and ",
          cache.v.shape(), " ", cache.v.dtype(), " for qkv ", qkv.shape(), " ", qkv.dtype());
  require(position >= 0 && position + s.seq_len <= cache.k.dim(1),
          "cached_attention: ", position + s.seq_len, " tokens in a cache of ", cache.k.dim(1));
}

// The bytes of the new tokens' keys and values, and of all those they see.
double kv_bytes(const Tensor& qkv, const AttentionShape& s, std::int64_t positions) {
  return 2.0 * static_cast<double>(s.batch * positions * s.kv_heads * s.head_dim) *
         static_cast<double>(size_of(qkv.dtype()));
}

template <class T>
Heads<T> heads_of(const AttentionShape& s, const Tensor& cache) {
  return {cache.data<std::remove_const_t<T>>(), cache.dim(2), cache.dim(1) * cache.dim(2),
          s.head_dim};
}

void append(const Tensor& qkv, const KvCache& cache, const AttentionShape& s,
            std::int64_t position) {
  const Cost cost{.bytes = 2 * kv_bytes(qkv, s, s.seq_len)};
  launch(qkv.device(), "append_to_cache", cost, [&](auto tag) {
    on_float(qkv.dtype(), [&]<class T> {
      ops::kernels::append_to_cache(tag, s, ops::kernels::qkv_heads<const T>(s, qkv.data<T>()),
                                    position, heads_of<T>(s, cache.k), heads_of<T>(s, cache.v));
    });
  });
}

// The same at every position, so that one rehearsal stands for all.
Tensor workspace_of(const Tensor& qkv, const KvCache& cache, const AttentionShape& s) {
  if (s.seq_len > 1) return ops::attention_workspace(qkv, s);
  std::size_t bytes = 0;
  on_backend(qkv.device().like(), [&](auto tag) {
    on_float(qkv.dtype(), [&]<class T> {
      bytes = ops::kernels::decode_attention_workspace<T>(tag, s, cache.k.dim(1));
    });
  });
  const Owned workspace_is(qkv.device(), Owner::workspace);
  return Tensor({static_cast<std::int64_t>(bytes)}, DType::u8, qkv.device());
}

void attend(const Tensor& qkv, const KvCache& cache, const AttentionShape& s, std::int64_t position,
            const Tensor& y) {
  const Tensor workspace = workspace_of(qkv, cache, s);
  const Cost cost{
      .flops = ops::attention_flops(s, ops::Visible::causal(position, s.seq_len), 2),
      .bytes = 2.0 * static_cast<double>(y.bytes()) + kv_bytes(qkv, s, position + s.seq_len)};
  launch(qkv.device(), "cached_attention", cost, [&](auto tag) {
    on_float(qkv.dtype(), [&]<class T> {
      using namespace ops::kernels;
      const Qkv<const T> in{qkv_heads<const T>(s, qkv.data<T>()).q, heads_of<const T>(s, cache.k),
                            heads_of<const T>(s, cache.v)};
      const Heads<T> to = y_heads(s, y.data<T>());
      if (s.seq_len == 1)
        decode_attention<T>(tag, s, position, in, to, workspace.raw());
      else
        attention<T, T>(tag, s, ops::Visible::causal(position, s.seq_len), in,
                        {.y = to, .log_sum_exp = {}, .merge = false}, workspace.raw());
    });
  });
}

}  // namespace

Tensor cached_attention(const Tensor& qkv, const KvCache& cache, const AttentionShape& s,
                        std::int64_t position) {
  check(qkv, cache, s, position);
  Tensor y({s.batch * s.seq_len, s.heads * s.head_dim}, qkv.dtype(), qkv.device());
  append(qkv, cache, s, position);
  attend(qkv, cache, s, position, y);
  return y;
}

}  // namespace fusor
