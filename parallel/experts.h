#pragma once
#include <string>

#include "ops/row_map.h"
#include "parallel/sharded_linear.h"

namespace fusor {

// The extents of a mixture-of-experts layer and how it routes.
struct ExpertsShape {
  std::int64_t width, hidden;    // of the residual stream; of each expert
  std::int64_t experts, chosen;  // all of them; those that a token goes to
  bool gated = false;            // SwiGLU experts; else GELU
  // An expert takes ceil(capacity_factor * chosen * tokens / experts) tokens of a micro-batch and
  // the rest pass the layer by. 0: all tokens; then each expert has room, and computes, for all.
  double capacity_factor = 0;
  double balance_loss = 0;  // coefficient of the loss that evens out the experts' use
};

// In place of an MLP: each token goes through the `chosen` of `experts` MLPs without biases that a
// learned router picks for it.
//   y[n,:] = sum_j weights[n,j] expert_{choices[n,j]}(x[n,:])
// Shazeer et al. 2017; as in https://arxiv.org/abs/2006.16668 (capacity),
// https://arxiv.org/abs/2101.03961 (balance loss) and https://arxiv.org/abs/2401.04088 (weights).
//
// Each rank of ep holds consecutive experts, whose inputs and outputs the ranks exchange in buffers
// of fixed size; the hidden width of each is split over tp. Which choices are dropped is decided
// over the whole micro-batch, whose rows may be split over cp, in the order of route_tokens().
struct Experts {
  ExpertsShape shape;
  TensorRegion region;
  Group cp, ep;
  Parameter router;  // [experts, width]
  Parameter up;      // [experts / ep * hidden / tp, width]; gated: an expert's gate, then its up
  Parameter down;    // [experts / ep * width, hidden / tp]

  // Weights are named "NAME.router.weight" and "NAME.expert.7.up.weight"; up_std and down_std are
  // the standard deviations of their normal starts. Throws Error where ep does not divide the
  // experts, or tp the hidden width.
  Experts(const std::string& name, const ExpertsShape& shape, double up_std, double down_std,
          const Mesh& mesh);

  // x [n, width], the rows of `rows`; under sequence parallelism n is this rank's part of them.
  // drop = false: capacity without limit (generating text).
  // loss_scale: of the loss's gradient (ops/top_k_router.h).
  Var operator()(const Var& x, const RowMap& rows, bool drop = true,
                 const Tensor& loss_scale = {}) const;
  void visit(const Visitor& f) { f(router), f(up), f(down); }

 private:
  std::int64_t local_experts() const { return shape.experts / ep.size(); }
  Var run(const Var& buffer) const;  // the experts, on [experts * slots, width]
};

}  // namespace fusor
