#pragma once
#include <cstdint>

#include "ops/tape.h"

namespace fusor {

// y[j,i] = x[i,j] of blocks of rows: x [a * b * n, C] seen as [a, b, n, C]   y as [b, a, n, C].
// x itself where a or b is 1.
Var swap_blocks(const Var& x, std::int64_t a, std::int64_t b);

}  // namespace fusor
