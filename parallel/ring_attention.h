#pragma once
#include "ops/attention.h"
#include "runtime/transport.h"

namespace fusor {

// attention() of sequences that are spread over the ranks of cp: rank c of n holds the positions of
// RowMap::zigzag(.., c, n) of each, and `local` is the shape of what it holds. Keys and values go
// once round the ring of ranks while each attends to those that are there ("Ring Attention", Liu et
// al. 2023, https://arxiv.org/abs/2310.01889): n - 1 steps of the same work on every rank, in which
// the next block is on its way while the present one is read. Partial results are merged by their
// log-sum-exp, in the accumulator's dtype. In backward the gradients of keys and values follow
// them, one step behind, and make one more step home.
//
// qkv [batch * local.seq_len, (heads + 2 kv_heads) * head_dim]. Returns y [batch * local.seq_len,
// heads * head_dim]. Messages are named "block.3/attn/ring kv.1", ".../ring_backward kv.1" and
// ".../ring_backward dkv.1", by the layer and the step. On a group of one it is attention(). Throws
// Error where qkv is of another shape, or seq_len odd with more than one rank.
Var ring_attention(const Var& qkv, const AttentionShape& local, const Group& cp);

}  // namespace fusor
