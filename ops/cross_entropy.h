#pragma once
#include "ops/tape.h"
#include "runtime/target.h"

namespace fusor {

// loss f64 [1] = sum_n -log softmax(logits[n,:])[targets[n]] over rows n that are not ignored.
// logits [N, V]   targets i32 [N], each in [0, V) or kIgnoredTarget
// Consumes the logits: backward writes their gradient over them, so nothing as large is allocated;
// nothing may read them between. Throws Error naming a target that is out of range, where the host
// can read it.
Var cross_entropy(const Var& logits, const Tensor& targets);

}  // namespace fusor
