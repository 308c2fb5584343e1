#pragma once
#include "ops/tape.h"

namespace fusor {

// The mean of the positions of each sequence: y[b,:] = sum_{t < n} x[b T + t,:] / n,  n =
// lengths[b] x [batch T, cols]   lengths i32 [batch], at most T; undefined: all are T   y [batch,
// cols] What comes after a sequence's length is padding: neither read nor given a gradient but
// zero. Of length 0 the mean is 0.
Var mean_pool(const Var& x, std::int64_t batch, const Tensor& lengths = {});

}  // namespace fusor
