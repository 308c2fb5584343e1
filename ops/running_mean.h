#pragma once
#include <span>

#include "runtime/tensor.h"

namespace fusor::ops {

// A value that follows what is handed in, and what was handed in since its last update. All three
// have the same number of elements.
struct RunningMean {
  Tensor value;   // in the dtype that computes
  Tensor master;  // in value's accumulator dtype; may share value's storage if that is the same
  Tensor sum;     // in the accumulator dtype
  double rate;    // how far it goes towards their mean
};

// master += rate (sum / count - master)   value = master, rounded
// All values are of one dtype; `count` is how many went into each sum. A grad_scale f64 [1] of 0
// leaves all as it is: see ops/adamw.h.
void follow_means(std::span<const RunningMean>, std::int64_t count, const Tensor& grad_scale);

}  // namespace fusor::ops
