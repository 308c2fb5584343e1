#pragma once
#include "ops/tape.h"

namespace fusor {

// y = x w^T + b    x [n, in]  w [out, in]  b [out], or no value for none  y [n, out]
Var linear(const Var& x, const Var& w, const Var& b = {});

// y = gelu(x w^T + b), the tanh form. Keeps x w^T + b for the backward pass; without a tape it is
// computed in place.
Var linear_gelu(const Var& x, const Var& w, const Var& b = {});

}  // namespace fusor
