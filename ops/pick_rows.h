#pragma once
#include "ops/tape.h"

namespace fusor {

// Some rows of each sequence: y[b P + i,:] = x[b T + positions[b,i],:]
// x [batch T, cols]   positions i32 [batch, P], each in [0, T)   y [batch P, cols]
// A row may be picked more than once, or never; its gradient is the sum over its picks, in order of
// i. Throws Error naming a position that is not in a sequence, where the host can read it.
Var pick_rows(const Var& x, const Tensor& positions);

// The first row of each of `batch` sequences, [batch, cols].
Var first_rows(const Var& x, std::int64_t batch);

}  // namespace fusor
