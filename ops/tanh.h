#pragma once
#include "ops/tape.h"

namespace fusor {

// y = tanh(x), element by element; x of any shape. dx = dy (1 - y^2): what is kept is y.
Var tanh(const Var& x);

}  // namespace fusor
