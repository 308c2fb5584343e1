#pragma once
#include "ops/tape.h"

namespace fusor {

// A row before each of `batch` sequences, such as a class token: y[b (T + 1),:] = row, and
// y[b (T + 1) + 1 + t,:] = x[b T + t,:]
// x [batch T, cols]   row [1, cols]   y [batch (T + 1), cols]
Var prepend_row(const Var& x, const Var& row, std::int64_t batch);

}  // namespace fusor
