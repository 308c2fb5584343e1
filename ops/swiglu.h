#pragma once
#include "ops/tape.h"

namespace fusor {

// y[n,h] = silu(gate[n,h]) * up[n,h],   silu(g) = g / (1 + e^-g)
// x [N, 2 H]: a row of gates, then a row of ups   y [N, H]
// Shazeer, "GLU variants improve transformer", 2020.
Var swiglu(const Var& x);

}  // namespace fusor
