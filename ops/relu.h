#pragma once
#include "ops/tape.h"

namespace fusor {

// y = max(x, 0), element by element; x of any shape.
Var relu(const Var& x);

namespace ops {

// dx = (add ? dx : 0) + (y > 0 ? dy : 0). dx may be dy.
void relu_backward(const Tensor& dy, const Tensor& y, const Tensor& dx, bool add);

}  // namespace ops
}  // namespace fusor
