#pragma once
#include <cstdint>

#include "ops/row_map.h"
#include "ops/tape.h"

// The way of tokens to experts and back, through a buffer of fixed size: a slot is a row of the
// buffer, `slots_per_expert` consecutive ones an expert's. So shapes do not depend on the data
// (Lepikhin et al. 2020, https://arxiv.org/abs/2006.16668).
namespace fusor {

// Which expert has which slot's token. Rows and choices as in top_k_router.h.
struct Routing {
  Tensor slots;    // [N, k] i32: the slot of each choice; -1: dropped
  Tensor sources;  // [E * slots_per_expert] i32: the choice, n * k + j, in each slot; -1: none
  Tensor counts;   // [E] i32: the choices of each expert in the micro-batch, dropped ones included
};

// How many of a micro-batch's choices an expert takes: ceil(factor * k * tokens / experts), at most
// all tokens. factor 0: all tokens.
std::int64_t expert_capacity(double factor, std::int64_t tokens, std::int64_t k,
                             std::int64_t experts);

// The choices [N, k] of this rank's rows, each at its place among the rows of the whole
// micro-batch; -1 where other ranks' rows stand, so that the maximum over ranks is the choices of
// all. `rows` holds whole samples: first_row is 0 and local_len divides N.
// result [N / local_len * seq_len, k] i32
Tensor global_choices(const Tensor& choices, const RowMap& rows);

// Gives the N choices of this rank's rows their slots. Each expert takes the first `capacity`
// choices of the micro-batch, first choices before second ones and so on, of equal rank those of
// lower tokens; the rest are dropped. So what is dropped does not depend on the layout.
// global: global_choices() of all ranks, consumed.
Routing route_tokens(const Tensor& global, std::int64_t n, const RowMap& rows, std::int64_t experts,
                     std::int64_t capacity);

// buffer[s,:] = x[sources[s] / k,:], 0 where there is none
// x [N, C]   buffer [E * slots_per_expert, C]
Var expert_dispatch(const Var& x, const Routing&);

// y[n,:] = sum_j weights[n,j] buffer[slots[n,j],:]; a dropped choice adds nothing
// buffer [E * slots_per_expert, C]   weights [N, k] of acc_dtype(buffer)   y [N, C]
Var expert_combine(const Var& buffer, const Var& weights, const Routing&);

}  // namespace fusor
