#pragma once
#include <optional>
#include <string>

#include "models/gpt_config.h"
#include "models/model.h"
#include "ops/add_norm.h"
#include "parallel/sharded_linear.h"

// Modules are plain structs: fields are parameters and children, operator() is the forward pass,
// visit() names the parameters. There is no base class and no backward: the tape has it.
namespace fusor {

// The key of the dropout of a layer ("block.3.mlp") in this pass's step.
StepKey dropout_key(const Pass&, const std::string& layer);

struct MlpShape {
  std::int64_t width, hidden;
  Activation activation;
  bool bias;
  double up_std, down_std;  // the standard deviations that the weights start with
};

// down(act(up(x))), or down(silu(gate(x)) * up(x)).
struct Mlp {
  Activation activation;
  ColumnLinear up;  // the hidden layer, led by its gate in a SwiGLU
  RowLinear down;

  Mlp(const std::string& name, const MlpShape&, const TensorRegion&);
  Mlp(const std::string& name, const GptConfig&, double down_std, const TensorRegion&);
  Var operator()(const Var& x) const;
  void visit(const Visitor& f) { up.visit(f), down.visit(f); }
};

// LayerNorm or RMSNorm over the last dim, outside the region.
struct NormLayer {
  Norm kind;
  double eps;
  Parameter gain;
  std::optional<Parameter> bias;  // LayerNorm

  NormLayer(const std::string& name, Norm, std::int64_t width, double eps, const TensorRegion&);
  NormLayer(const std::string& name, const GptConfig&, const TensorRegion&);
  Var operator()(const Var& x) const;
  // residual + dropout(x), and its norm.
  AddNorm operator()(const Var& residual, const Var& x, double p, const StepKey&,
                     const RowMap&) const;
  void visit(const Visitor& f) {
    f(gain);
    if (bias) f(*bias);
  }
};

}  // namespace fusor
