#pragma once
#include "ops/tape.h"

namespace fusor {

// y[r,c] = x[r,c] * inv_rms[r] * gain[c],   inv_rms[r] = 1 / sqrt(mean_c x[r,c]^2 + eps)
// x, y [rows, cols]   gain [cols]
// Zhang and Sennrich, "Root mean square layer normalization", NeurIPS 2019.
Var rms_norm(const Var& x, const Var& gain, double eps);

}  // namespace fusor
