#pragma once
#include "ops/tape.h"

namespace fusor {

// y[r,c] = (x[r,c] - mean[r]) * rstd[r] * gain[c] + bias[c],   rstd[r] = 1 / sqrt(var_c x[r,c] +
// eps) x, y [rows, cols]   gain, bias [cols]; the variance divides by cols. Ba, Kiros and Hinton,
// "Layer normalization", 2016.
Var layer_norm(const Var& x, const Var& gain, const Var& bias, double eps);

}  // namespace fusor
