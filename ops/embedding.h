#pragma once
#include "ops/row_map.h"
#include "ops/tape.h"
#include "ops/vocab_shard.h"

namespace fusor {

// y[n,:] = table[ids[n] - shard.first,:], or 0 where that row is not in the table.
// table [V, C]   ids i32 [N]   y [N, C]
// The tape is that of `ids`. Throws Error if an id is not in the whole vocabulary, where the host
// can read them.
Var embedding(const Var& table, const Var& ids, const VocabShard& shard = {});

// y[r,:] = x[r,:] + table[map.position(r),:]: learned positions.
// x, y [N, C]   table [>= map.end_position(), C]
Var add_positions(const Var& x, const Var& table, const RowMap& map);

}  // namespace fusor
