#pragma once
#include "ops/tape.h"

namespace fusor {

// y[r,c] = x[r,c] * inv_rms[r] * gain[c],   inv_rms[r] = 1 / sqrt(mean_c x[r,c]^2 + eps)
// x, y [rows, cols]   gain [cols]
// Zhang and Sennrich, "Root mean square layer normalization", NeurIPS 2019.
Var rms_norm(const Var& x, const Var& gain, double eps);

namespace ops {

// rms_norm in two, for operators that compute x in the same pass: its checks, and what it does
// about a y that has been computed. inv_rms [rows] in x's accumulator dtype.
void check_rms_norm(const Tensor& x, const Var& gain);
Var record_rms_norm(Tensor y, const Var& x, const Var& gain, const Tensor& inv_rms);

}  // namespace ops
}  // namespace fusor
