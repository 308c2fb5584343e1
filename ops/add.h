#pragma once
#include "ops/tape.h"

namespace fusor {

// y = a + b, of the same shape and dtype: the residual connection. Its backward moves nothing.
Var add(const Var& a, const Var& b);

namespace ops {

// to = (add ? to : 0) + x, element by element. x may be of to's dtype, or of the narrower one that
// accumulates into it (bf16 into f32).
void add_into(const Tensor& to, const Tensor& x, bool add);

}  // namespace ops
}  // namespace fusor
