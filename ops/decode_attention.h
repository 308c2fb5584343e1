#pragma once
#include "ops/attention.h"

namespace fusor {

// Keys and values of the tokens that a sequence has seen, so that its next token costs one row.
struct KvCache {
  Tensor k, v;  // [batch, capacity, kv_heads * head_dim]
};

// attention() of shape.seq_len new tokens a sequence, at positions position, position + 1, ...:
// stores their keys and values in the cache, and lets each see all before it. qkv as in
// attention(). Returns [batch * seq_len, heads * head_dim]. No gradient. Throws Error when the
// cache is full.
Tensor cached_attention(const Tensor& qkv, const KvCache& cache, const AttentionShape& shape,
                        std::int64_t position);

}  // namespace fusor
