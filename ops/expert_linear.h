#pragma once
#include <cstdint>

#include "ops/tape.h"

namespace fusor {

// y[e] = x[e] w[e]^T for each of the experts, whose rows and weights are stacked.
// x [experts * n, in]   w [experts * out, in]   y [experts * n, out]
Var expert_linear(const Var& x, const Var& w, std::int64_t experts);

}  // namespace fusor
