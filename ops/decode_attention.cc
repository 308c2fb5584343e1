#include "ops/decode_attention.h"

#include "ops/decode_attention_kernels.h"

namespace fusor {

Tensor cached_attention(const Tensor& qkv, const KvCache& cache, const AttentionShape& s,
                        std::int64_t position) {
  const Shape expected{s.batch * s.seq_len, (s.heads + 2 * s.kv_heads) * s.head_dim};
  require(qkv.shape() == expected, "cached_attention: qkv ", qkv.shape(), " but the heads make ",
          expected);
  require(cache.k.rank() == 3 && cache.k.shape() == cache.v.shape() && cache.k.dim(0) == s.batch &&
              cache.k.dim(2) == s.kv_heads * s.head_dim,
          "cached_attention: caches ", cache.k.shape(), " and ", cache.v.shape(), " for qkv ",
          qkv.shape());
  const std::int64_t seen = position + s.seq_len;
  require(position >= 0 && seen <= cache.k.dim(1), "cached_attention: ", seen,
          " tokens in a cache of ", cache.k.dim(1));
  Tensor y({s.batch * s.seq_len, s.heads * s.head_dim}, qkv.dtype(), qkv.device());
  // Two products of 2 D operations for each pair of a query and a key; every key and value read
  // once.
  const auto pairs = static_cast<double>(s.batch * s.heads * s.seq_len * seen);
  const Cost cost{.flops = 4 * pairs * static_cast<double>(s.head_dim),
                  .bytes = static_cast<double>(qkv.bytes() + y.bytes()) +
                           2.0 * static_cast<double>(s.batch * seen * s.kv_heads * s.head_dim) *
                               static_cast<double>(size_of(qkv.dtype()))};
  launch(y.device(), "cached_attention", cost, [&](auto device) {
    on_float(qkv.dtype(), [&]<class T> {
      ops::kernels::cached_attention(device, {s, cache.k.dim(1), position}, qkv.data<T>(),
                                     cache.k.data<T>(), cache.v.data<T>(), y.data<T>());
    });
  });
  return y;
}

}  // namespace fusor
