#pragma once
#include <string>
#include <string_view>

#include "ops/tape.h"
#include "runtime/transport.h"

// Differentiable collectives. Towards a group, a value is one of
//   replicated  the same on every rank
//   sharded     consecutive equal parts of the leading dim, in rank order
//   partial     a share of each rank; the value is their sum
// and so is its gradient: replicated values have replicated gradients, sharded ones sharded
// gradients, and the gradient of a partial value is replicated. Each collective turns one kind into
// another, and its backward pass is the forward pass of its partner:
//
//   forward                 value                         backward
//   fork                    replicated -> one's own use   join, of the shares of the gradient
//   join                    partial -> replicated         fork: the gradient as it is
//   gather_rows             sharded -> one's own use      scatter_rows, of the shares
//   scatter_rows            partial -> sharded            gather_rows
//   gather_replicated       sharded -> replicated         slice
//   slice                   replicated -> sharded         gather_replicated
//   exchange                block i to rank i             exchange
//
// "One's own use": each rank goes on to compute something else from it, so that what flows back is
// a share of the gradient. Megatron-LM's f and g (https://arxiv.org/abs/1909.08053) are fork and
// join, those of https://arxiv.org/abs/2205.05198 are gather_rows and scatter_rows.
//
// On a group of one each is the value itself. All ranks of the group make the same calls in the
// same order. Calls are named by the layer that runs: "block.3/attn/join", "block.3/attn/
// fork_backward". Throws Error where a leading dim is not a multiple of the ranks.
namespace fusor {

Var fork(const Var& x, const Group&);
Var join(Var x, const Group&);  // in place where nothing else holds the value: join(std::move(x))
Var gather_rows(const Var& x, const Group&);        // [n, ...] -> [size n, ...]
Var scatter_rows(const Var& x, const Group&);       // [size n, ...] -> [n, ...]
Var gather_replicated(const Var& x, const Group&);  // [n, ...] -> [size n, ...]
Var slice(const Var& x, const Group&);              // [size n, ...] -> [n, ...]
Var exchange(const Var& x, const Group&);           // [size n, ...], block i of n rows to rank i

// What a call of x's layer is named: "block.3/attn/join" for what = "join".
std::string call_name(const Tensor& x, std::string_view what);

// The same on tensors, complete when they return. `what` follows the layer's name. all_reduced
// writes the sum (or what op says) over x where nothing else holds its storage.
Tensor all_reduced(const Tensor& x, const Group&, std::string_view what,
                   ReduceOp op = ReduceOp::sum);
Tensor all_gathered(const Tensor& x, const Group&, std::string_view what);
Tensor reduce_scattered(const Tensor& x, const Group&, std::string_view what);
Tensor exchanged(const Tensor& x, const Group&, std::string_view what);

}  // namespace fusor
