#pragma once
#include <cstdint>

#include "ops/tape.h"

namespace fusor {

struct AttentionShape {
  std::int64_t batch, seq_len, heads, kv_heads, head_dim;
};

// Causal grouped-query attention. Columns of qkv [batch * seq_len, (heads + 2 kv_heads) *
// head_dim]: all query heads, all key heads, all value heads; rows in order of (sequence,
// position). For each sequence and head h, with keys k and values v of head h / (heads / kv_heads):
//   y = softmax(q k' / sqrt(head_dim)) v,  each position seeing itself and what is before it
// Returns y [batch * seq_len, heads * head_dim]. kv_heads = heads is multi-head attention
// (Vaswani et al. 2017), kv_heads = 1 multi-query (Shazeer 2019), between them grouped-query
// attention (Ainslie et al. 2023).
//
// No [seq_len, seq_len] matrix is stored: what backward keeps is qkv, y and one number a row, the
// log-sum-exp of its scores (Dao 2023, "FlashAttention-2", algorithms 1 and 2).
Var attention(const Var& qkv, const AttentionShape&);

}  // namespace fusor
