#pragma once
#include <cstdint>

#include "ops/tape.h"

namespace fusor {

// y[n,:] = table[ids[n],:].   table [V, C]   ids i32 [N]   y [N, C]
// The tape is that of `ids`. Throws Error if an id is not in [0, V), where the host can read them.
Var embedding(const Var& table, const Var& ids);

// y[b t,:] = x[b t,:] + table[first_position + t,:], t in [0, seq_len): learned positions.
// x, y [B seq_len, C]   table [>= first_position + seq_len, C]
Var add_positions(const Var& x, const Var& table, std::int64_t seq_len,
                  std::int64_t first_position = 0);

}  // namespace fusor
