#pragma once
#include "ops/tape.h"

namespace fusor {

// y = x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2, element by element; x of any shape.
// Hendrycks and Gimpel, "Gaussian error linear units", 2016.
Var gelu(const Var& x);

namespace ops {

// y = gelu(x), and dx = (add ? dx : 0) + dy gelu'(x). y may be x, and dx may be dy.
void gelu(const Tensor& x, const Tensor& y);
void gelu_backward(const Tensor& dy, const Tensor& x, const Tensor& dx, bool add);

}  // namespace ops
}  // namespace fusor
