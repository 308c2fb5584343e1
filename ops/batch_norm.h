#pragma once
#include "ops/gather_ranks.h"
#include "ops/tape.h"

namespace fusor {

struct BatchNormOptions {
  double eps = 1e-5;
  bool relu = false;  // of the result, in the same pass
};

// The weights of a batch norm, all [c]. The running ones are what inference normalises by. They may
// have no value in training; where they have, what gathers as their gradients is the mean and the
// unbiased variance of each batch, not a slope: see Parameter::running_rate.
struct BatchNormVars {
  Var gain, bias, running_mean{}, running_variance{};
};

// y = (x - mean) / sqrt(variance + eps) gain + bias [+ residual], then max(y, 0) with options.relu
// x, residual, y [..., c]; a residual of no value: none. mean and variance, which divides by the
// count, are over all but the last dim: with `gather`, over all ranks of a group, each of which has
// as many rows. It maps what a rank knows of each channel, [2, c], to what all know, [ranks, 2, c];
// backward calls it, too. Ioffe and Szegedy, "Batch normalization", ICML 2015.
Var batch_norm(const Var& x, const BatchNormVars&, const BatchNormOptions& = {},
               const Var& residual = {}, const GatherRanks& gather = {});

// The same by the running mean and variance, which get no gradient.
Var batch_norm_inference(const Var& x, const BatchNormVars&, const BatchNormOptions& = {},
                         const Var& residual = {});

}  // namespace fusor
