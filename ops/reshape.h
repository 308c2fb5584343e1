#pragma once
#include "ops/tape.h"

namespace fusor {

// The same elements under another shape. Moves nothing, backward either. Throws Error if the sizes
// differ.
Var reshape(const Var& x, Shape shape);

}  // namespace fusor
