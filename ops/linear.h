#pragma once
#include "ops/tape.h"

namespace fusor {

// y = x w^T + b    x [n, in]  w [out, in]  b [out], or no value for none  y [n, out]
Var linear(const Var& x, const Var& w, const Var& b = {});

// y = gelu(z), to be read by a linear layer. Gradients flow back to z at once, in that layer's own
// product: the gradient of y is never written.
struct Activated {
  Var z;     // [n, out]; without a tape its value is y itself
  Tensor y;  // [n, out]
};

// z = x w^T + b and y = gelu(z), the tanh form. Without a tape z is not kept.
Activated linear_gelu(const Var& x, const Var& w, const Var& b = {});
Var linear(const Activated& x, const Var& w, const Var& b = {});

}  // namespace fusor
