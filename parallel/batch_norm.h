#pragma once
#include "ops/batch_norm.h"
#include "parallel/mesh.h"
#include "parallel/parameter.h"

namespace fusor {

// Batch norm over the last dim of x, with running statistics for inference. Statistics are those of
// a micro-batch, so that a layout changes nothing while the micro-batch is kept; or, with a group
// for them, of the micro-batches that its ranks have at the same time, which a layout changes.
// Parameters are named as PyTorch's: weight, bias, running_mean, running_var.
struct BatchNormLayer {
  Parameter gain, bias, mean, variance;
  double eps;
  Group statistics;

  struct Options {
    double eps = 1e-5;
    double running_rate = 0.1;  // PyTorch's momentum, but of a step, not of a micro-batch
    double gain = 1;            // at the start
  };
  BatchNormLayer(const std::string& name, std::int64_t channels, const Options& options,
                 const Group& statistics = {});

  // [relu](bn(x) [+ residual]); `training`: by the batch's statistics.
  Var operator()(const Var& x, bool training, bool relu = false, const Var& residual = {}) const;
  void visit(const Visitor&);
};

}  // namespace fusor
