#pragma once
#include "ops/attention_kernels.h"

// Attention by blocks of keys, each of which may come from elsewhere: what attention() and
// cross_attention() are one block of, and ring_attention() several.
namespace fusor::ops {

// What cuts the rows of a batch into sequences, as ops/attention_sequences.h describes; i32, each
// may be undefined.
struct AttentionLengths {
  Tensor lengths{}, kv_lengths{};  // [batch]
  Tensor offsets{};                // [batch, documents + 1]
};

// The last queries of each sequence, from `begin` on, and the keys they see. Row i of `visible` is
// query begin + i.
struct AttentionBlock {
  AttentionShape shape;  // of all tensors
  std::int64_t begin;
  Visible visible;
  AttentionLengths lengths{};  // whole sequences alone may have any
  AttentionDropout dropout{};
};

// y [batch * seq_len, heads * head_dim] and log_sum_exp [batch, heads, seq_len] of the block's
// queries; with `merge`, those over this block's keys and the ones that were there before. Queries
// are the first heads * head_dim columns of q, keys and values the last 2 kv_heads * head_dim of
// kv, which may be the same tensor. y is of q's dtype or of its accumulator's, log_sum_exp of the
// latter; log_sum_exp may be undefined unless merging.
void attention_block(const AttentionBlock&, const Tensor& q, const Tensor& kv, const Tensor& y,
                     const Tensor& log_sum_exp, bool merge);

// What backward needs of the forward pass over all blocks.
struct AttentionSaved {
  Tensor q, y, log_sum_exp;
};

// The gradients by one block. dq: the first heads * head_dim columns, of the block's queries.
// dkv: the last 2 kv_heads * head_dim columns, of all keys.
struct AttentionBlockGradient {
  Tensor dq, dkv;  // may be the same; of q's dtype or of its accumulator's
  bool add_q, add_kv;
};
void attention_block_backward(const AttentionBlock&, const AttentionSaved&, const Tensor& kv,
                              const Tensor& dy, const AttentionBlockGradient&);

}  // namespace fusor::ops
