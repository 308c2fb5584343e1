#pragma once
#include <cstdint>

#include "ops/dropout.h"

namespace fusor {

struct AttentionShape {
  std::int64_t batch, seq_len, heads, kv_heads, head_dim;
  bool causal = true;           // attention() alone: keys after a query are not seen
  std::int64_t kv_seq_len = 0;  // cross_attention() alone: positions of each sequence of keys
};

// Dropout of the weights that softmax gives, by their global places. A weight w becomes w keep / (1
// - p), keep = word >= p as in uniform(), where for key j of a sequence, the query at position i of
// a row of the batch, k = key_at(key.stem, key.step[0]) and the row's place among all samples of a
// step and the head's among all heads,
//   word = philox(k, i << 32 | j / 64 * 16 + j % 16, sample << 32 | head)[j / 16 % 4]
// The mask is drawn again in backward, never stored.
struct AttentionDropout {
  double p = 0;  // in [0, 1); with 0 the key is not read
  StepKey key{};
  std::int64_t first_sample = 0, first_head = 0;  // of this call's rows of the batch, and heads
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
Var attention(const Var& qkv, const AttentionShape&, const Tensor& lengths = {},
              const AttentionDropout& = {});

// The same where each row of the batch holds n documents, one after the other, that do not see each
// other. offsets, i32 [batch, n + 1]: document k is at positions offsets[b, k] up to offsets[b, k +
// 1]; from 0 on they never decrease and are at most seq_len. A document may be empty: rows with
// fewer of them repeat the last offset. What comes after it is padding, as above.
Var packed_attention(const Var& qkv, const AttentionShape&, const Tensor& offsets,
                     const AttentionDropout& = {});

// The same of positions that attend to all of another sequence: columns of q [batch * seq_len,
// heads * head_dim] are the query heads, columns of kv [batch * kv_seq_len, 2 kv_heads * head_dim]
// all key heads, then all value heads. kv_lengths [batch] are those of the keys; where there are
// none, y is zero.
Var cross_attention(const Var& q, const Var& kv, const AttentionShape&,
                    const Tensor& kv_lengths = {}, const AttentionDropout& = {});

}  // namespace fusor
