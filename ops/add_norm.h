#pragma once
#include "ops/dropout.h"

namespace fusor {

// A sum and its norm, of which a residual stream needs both.
struct AddNorm {
  Var sum, y;
};

// sum = residual + dropout(x) and y = its norm, in one pass: the values, gradients and errors of
// dropout_add (ops/dropout.h) followed by layer_norm (ops/layer_norm.h) or rms_norm
// (ops/rms_norm.h). residual, x, sum, y [rows, cols]   gain, bias [cols]
AddNorm add_layer_norm(const Var& residual, const Var& x, double p, const StepKey& key,
                       const RowMap& map, const Var& gain, const Var& bias, double eps);
AddNorm add_rms_norm(const Var& residual, const Var& x, double p, const StepKey& key,
                     const RowMap& map, const Var& gain, double eps);

}  // namespace fusor
