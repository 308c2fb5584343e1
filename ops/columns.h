#pragma once
#include "runtime/tensor.h"

namespace fusor::ops {

// Columns [first, first + count) of x [rows, cols].
struct Columns {
  Tensor x;
  std::int64_t first, count;
};

// to = (add ? to : 0) + from. `from` is of to's dtype, or of the wider one that accumulates it.
void copy_columns(const Columns& from, const Columns& to, bool add);

}  // namespace fusor::ops
