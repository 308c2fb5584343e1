#pragma once
#include "ops/dropout.h"

namespace fusor {

// y = residual + x keep / (1 - p),   keep[r] = uniform(k, map.sample(r)) >= p
// residual, x, y [rows, cols], k = key_at(key.stem, key.step[0]): a sample takes the branch x with
// all its rows or passes it by, under every layout alike. p = 0 is add() and reads no key. Throws
// Error if p is not in [0, 1). Huang et al., "Deep networks with stochastic depth", 2016, by sample
// as in https://arxiv.org/abs/2012.12877.
Var drop_path_add(const Var& residual, const Var& x, double p, const StepKey& key,
                  const RowMap& map);

}  // namespace fusor
