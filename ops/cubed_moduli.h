#pragma once
#include "ops/tape.h"

namespace fusor {

// loss f64 [1] = factor sum_n sum_c |x[n,c]|^3, over columns or, with `complex`, over complex
// numbers: all real parts of a row, then all imaginary ones. The nuclear 3-norm of Lacroix et al.
// 2018, https://arxiv.org/abs/1806.07297.   x [N, C]
Var cubed_moduli(const Var& x, double factor, bool complex);

}  // namespace fusor
