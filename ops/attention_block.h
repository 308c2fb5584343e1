#pragma once
#include "ops/attention_kernels.h"

// Attention by blocks of keys, each of which may come from elsewhere: what attention() is one block
// of, and ring_attention() several.
namespace fusor::ops {

// The last queries of each sequence, from `begin` on, and the keys they see. Row i of `visible` is
// query begin + i.
struct AttentionBlock {
  AttentionShape shape;  // of all tensors
  std::int64_t begin;
  Visible visible;
};

// y [batch * seq_len, heads * head_dim] and log_sum_exp [batch, heads, seq_len] of the block's
// queries; with `merge`, those over this block's keys and the ones that were there before. Keys and
// values are the last 2 kv_heads * head_dim columns of kv, which may be qkv. y is of qkv's dtype or
// of its accumulator's, log_sum_exp of the latter; log_sum_exp may be undefined unless merging.
void attention_block(const AttentionBlock&, const Tensor& qkv, const Tensor& kv, const Tensor& y,
                     const Tensor& log_sum_exp, bool merge);

// What backward needs of the forward pass over all blocks.
struct AttentionSaved {
  Tensor qkv, y, log_sum_exp;
};

// The gradients by one block. dq: the first heads * head_dim columns, of the block's queries.
// dkv: the last 2 kv_heads * head_dim columns, of all keys.
struct AttentionBlockGradient {
  Tensor dq, dkv;  // may be the same; of qkv's dtype or of its accumulator's
  bool add_q, add_kv;
};
void attention_block_backward(const AttentionBlock&, const AttentionSaved&, const Tensor& kv,
                              const Tensor& dy, const AttentionBlockGradient&);

}  // namespace fusor::ops
