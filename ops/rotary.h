#pragma once
#include "ops/attention.h"
#include "ops/row_map.h"

namespace fusor {

// Rotary position embedding (Su et al. 2021, https://arxiv.org/abs/2104.09864) of the query and key
// heads in qkv, whose layout is attention()'s; values are copied through. In a head of dim D the
// pair (i, i + D/2) of a token at position p turns by the angle p theta^(-2i/D). Row r is at
// map.position(r). head_dim is even. Turns in place, saving the copy, where nothing else holds
// qkv's value: rotary(std::move(qkv), ...).
Var rotary(Var qkv, const AttentionShape& shape, double theta, const RowMap& map);

}  // namespace fusor
