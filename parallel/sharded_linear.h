#pragma once
#include <optional>
#include <string>
#include <vector>

#include "ops/linear.h"
#include "parallel/mesh.h"
#include "parallel/parameter.h"

// Linear layers whose weights are split over the ranks of tp, as in Megatron-LM,
// https://arxiv.org/abs/1909.08053; with sequence parallelism, https://arxiv.org/abs/2205.05198.
// On one rank they are plain linear layers.
namespace fusor {

// A stretch of the model where each rank of tp works with its part of the weights. Outside it,
// activations are replicated, or with sequence parallelism sharded by rows.
struct TensorRegion {
  Group tp;
  bool sequence = false;  // rows outside are split over tp

  TensorRegion() = default;
  explicit TensorRegion(const Mesh& mesh)
      : tp(mesh.tp), sequence(mesh.sequence && mesh.tp.size() > 1) {}

  Var enter(const Var& x) const;  // all rows, for this rank's own use
  Var leave(Var x) const;         // from the shares of a sum
  // This rank's part of n things of which each rank has as many. Throws Error where tp does not
  // divide n; `what` names them.
  std::int64_t share(std::int64_t n, const std::string& what) const;
};

// y = x w^T + b, entering the region, with the outputs split: y [rows, out / tp].
// x [rows outside, in]   w [out, in]   b [out], or no value for none; split by rows
// With sequence parallelism only x's own rows are kept for backward, which gathers them again.
Var column_linear(const Var& x, const Var& w, const Var& b, const TensorRegion&);

// y = x w^T + b, leaving the region, with the inputs split: y [rows outside, out].
// x [rows, in / tp]   w [out, in], split by columns   b [out], or no value for none
// b is added once; with sequence parallelism its gradient is partial.
Var row_linear(const Var& x, const Var& w, const Var& b, const TensorRegion&);

struct ColumnLinear {
  TensorRegion region;
  Parameter w;
  std::optional<Parameter> b;

  // Several projections of one input as one product: `parts` are consecutive rows of w, named and
  // sized as on one rank ("block.0.attn.q"). Each is split by itself, so that this rank's output
  // holds its part of the first, of the second, and so on.
  ColumnLinear(const std::vector<Piece>& parts, std::int64_t in, double std, bool bias,
               const TensorRegion&);

  Var operator()(const Var& x) const;
  Activated gelu(const Var& x) const;  // gelu(x w^T + b)
  void visit(const Visitor& f) {
    f(w);
    if (b) f(*b);
  }
};

struct RowLinear {
  TensorRegion region;
  Parameter w;
  std::optional<Parameter> b;

  RowLinear(const std::string& name, std::int64_t in, std::int64_t out, double std, bool bias,
            const TensorRegion&);

  Var operator()(const Var& x) const;
  Var operator()(const Activated& x) const;
  void visit(const Visitor& f) {
    f(w);
    if (b) f(*b);
  }
};

}  // namespace fusor
