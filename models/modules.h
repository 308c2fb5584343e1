#pragma once
#include <optional>
#include <string>

#include "models/gpt_config.h"
#include "parallel/parameter.h"

// Modules are plain structs: fields are parameters and children, operator() is the forward pass,
// visit() names the parameters. There is no base class and no backward: the tape has it.
namespace fusor {

// y = x w^T + b    x [n, in]  w [out, in]  b [out]
struct Linear {
  Parameter w;
  std::optional<Parameter> b;

  Linear(const std::string& name, std::int64_t in, std::int64_t out, double std, bool bias);
  // Several projections of one input as one product: `parts` are consecutive rows of w, and each
  // keeps its own name ("block.0.attn.q").
  Linear(const std::vector<Piece>& parts, std::int64_t in, double std, bool bias);

  Var operator()(const Var& x) const;
  Var gelu(const Var& x) const;  // gelu(x w^T + b)
  void visit(const Visitor& f) {
    f(w);
    if (b) f(*b);
  }
};

// LayerNorm or RMSNorm over the last dim.
struct NormLayer {
  Norm kind;
  double eps;
  Parameter gain;
  std::optional<Parameter> bias;  // LayerNorm

  NormLayer(const std::string& name, const GptConfig&);
  Var operator()(const Var& x) const;
  void visit(const Visitor& f) {
    f(gain);
    if (bias) f(*bias);
  }
};

}  // namespace fusor
