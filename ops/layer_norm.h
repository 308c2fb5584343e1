#pragma once
#include "ops/tape.h"

namespace fusor {

// y[r,c] = (x[r,c] - mean[r]) * rstd[r] * gain[c] + bias[c],   rstd[r] = 1 / sqrt(var_c x[r,c] +
// eps) x, y [rows, cols]   gain, bias [cols]; the variance divides by cols. Ba, Kiros and Hinton,
// "Layer normalization", 2016.
Var layer_norm(const Var& x, const Var& gain, const Var& bias, double eps);

namespace ops {

// layer_norm in two, for operators that compute x in the same pass: its checks, and what it does
// about a y that has been computed. mean, rstd [rows] in x's accumulator dtype.
void check_layer_norm(const Tensor& x, const Var& gain, const Var& bias);
Var record_layer_norm(Tensor y, const Var& x, const Var& gain, const Var& bias, const Tensor& mean,
                      const Tensor& rstd);

}  // namespace ops
}  // namespace fusor
