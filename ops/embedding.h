#pragma once
#include "ops/row_map.h"
#include "ops/tape.h"

namespace fusor {

// y[n,:] = table[ids[n],:].   table [V, C]   ids i32 [N]   y [N, C]
// The tape is that of `ids`. Throws Error if an id is not in [0, V), where the host can read them.
Var embedding(const Var& table, const Var& ids);

// y[r,:] = x[r,:] + table[map.position(r),:]: learned positions.
// x, y [N, C]   table [>= map.end_position(), C]
Var add_positions(const Var& x, const Var& table, const RowMap& map);

}  // namespace fusor
