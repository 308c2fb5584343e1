#pragma once
#include <cstdint>

#include "ops/tape.h"

namespace fusor {

struct AttentionShape {
  std::int64_t batch, seq_len, heads, kv_heads, head_dim;
  bool causal = true;           // attention() alone: keys after a query are not seen
  std::int64_t kv_seq_len = 0;  // cross_attention() alone: positions of each sequence of keys
};

// Grouped-query attention of sequences to themselves. Columns of qkv [batch * seq_len, (heads + 2
// kv_heads) * head_dim]: all query heads, all key heads, all value heads; rows in order of
// (sequence, position). For each sequence and head h, with keys k and values v of head h / (heads /
// kv_heads):
//   y = softmax(q k' / sqrt(head_dim)) v,  each position seeing itself and, if causal, what is
//                                          before it, else the whole sequence
// Returns y [batch * seq_len, heads * head_dim]. kv_heads = heads is multi-head attention
// (Vaswani et al. 2017), kv_heads = 1 multi-query (Shazeer 2019), between them grouped-query
// attention (Ainslie et al. 2023).
//
// No [seq_len, seq_len] matrix is stored: what backward keeps is qkv, y and one number a row, the
// log-sum-exp of its scores (Dao 2023, "FlashAttention-2", algorithms 1 and 2).
//
// lengths, i32 [batch] and at most seq_len: sequence b ends before position lengths[b]. What comes
// after is padding, which nothing sees: its rows of y are zero, and so are its gradients, whatever
// qkv and dy hold there. A length may be 0. Undefined: all sequences are whole.
Var attention(const Var& qkv, const AttentionShape&, const Tensor& lengths = {});

// The same of positions that attend to all of another sequence: columns of q [batch * seq_len,
// heads * head_dim] are the query heads, columns of kv [batch * kv_seq_len, 2 kv_heads * head_dim]
// all key heads, then all value heads. kv_lengths [batch] are those of the keys; where there are
// none, y is zero.
Var cross_attention(const Var& q, const Var& kv, const AttentionShape&,
                    const Tensor& kv_lengths = {});

}  // namespace fusor
