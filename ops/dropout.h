#pragma once
#include "ops/row_map.h"
#include "ops/tape.h"
#include "runtime/random.h"

namespace fusor {

// y = x * keep / (1 - p),   keep[r,c] = uniform(key, map.global_row(r) * cols + c) >= p
// x, y [rows, cols]. An element is dropped or not under any layout alike. The mask is drawn again
// in backward, never stored. p = 0 returns x. Throws Error if p is not in [0, 1). Srivastava et
// al., "Dropout", JMLR 2014.
Var dropout(const Var& x, double p, RandomKey key, const RowMap& map);

// y = residual + dropout(x), in one pass.
Var dropout_add(const Var& residual, const Var& x, double p, RandomKey key, const RowMap& map);

}  // namespace fusor
