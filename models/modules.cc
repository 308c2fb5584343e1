#include "models/modules.h"

#include "ops/layer_norm.h"
#include "ops/rms_norm.h"
#include "ops/swiglu.h"

namespace fusor {
namespace {

std::vector<Piece> up_parts(const std::string& name, const GptConfig& c) {
  if (c.activation == Activation::gelu) return {{name + ".up", c.mlp_hidden}};
  return {{name + ".gate", c.mlp_hidden}, {name + ".up", c.mlp_hidden}};
}

}  // namespace

Mlp::Mlp(const std::string& name, const GptConfig& c, double down_std, const TensorRegion& region)
    : activation(c.activation),
      up(up_parts(name, c), c.width, c.init_std, c.bias, region),
      down(name + ".down", c.mlp_hidden, c.width, down_std, c.bias, region) {}

Var Mlp::operator()(const Var& x) const {
  if (activation == Activation::gelu) return down(up.gelu(x));
  return down(swiglu(up(x)));
}

NormLayer::NormLayer(const std::string& name, const GptConfig& c, const TensorRegion& region)
    : kind(c.norm), eps(c.norm_eps), gain(name + ".gain", {c.width}, {.constant = 1}) {
  if (kind == Norm::layer_norm) bias.emplace(name + ".bias", Shape{c.width}, Fill{});
  gain.partial_over_tp = region.sequence;
  if (bias) bias->partial_over_tp = region.sequence;
}

Var NormLayer::operator()(const Var& x) const {
  return kind == Norm::layer_norm ? layer_norm(x, gain, *bias, eps) : rms_norm(x, gain, eps);
}

AddNorm NormLayer::operator()(const Var& residual, const Var& x, double p, const StepKey& key,
                              const RowMap& rows) const {
  return kind == Norm::layer_norm ? add_layer_norm(residual, x, p, key, rows, gain, *bias, eps)
                                  : add_rms_norm(residual, x, p, key, rows, gain, eps);
}

}  // namespace fusor
