#pragma once
#include "ops/tape.h"

namespace fusor {

// y[..., c] = x[..., c - before], and 0 where x has no such column
// x [..., cols]   y [..., whole], with before + cols <= whole
Var pad_columns(const Var& x, std::int64_t before, std::int64_t whole);

}  // namespace fusor
