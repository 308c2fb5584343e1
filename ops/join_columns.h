#pragma once
#include "ops/tape.h"

namespace fusor {

// y[n,:] = a[n,:], then b[n,:]   a [N, A]   b [N, B]   y [N, A + B]
Var join_columns(const Var& a, const Var& b);

// y = columns [first, first + count) of x   x [N, C]   y [N, count]
Var take_columns(const Var& x, std::int64_t first, std::int64_t count);

}  // namespace fusor
