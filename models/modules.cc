#include "models/modules.h"

#include "ops/gelu.h"
#include "ops/layer_norm.h"
#include "ops/rms_norm.h"
#include "ops/swiglu.h"

namespace fusor {
namespace {

std::vector<Piece> up_parts(const std::string& name, const MlpShape& s) {
  if (s.activation != Activation::swiglu) return {{name + ".up", s.hidden}};
  return {{name + ".gate", s.hidden}, {name + ".up", s.hidden}};
}

}  // namespace

StepKey dropout_key(const Pass& pass, const std::string& layer) {
  return {key_stem(pass.seed, "dropout/" + layer), pass.step};
}

Mlp::Mlp(const std::string& name, const MlpShape& s, const TensorRegion& region)
    : activation(s.activation),
      up(up_parts(name, s), s.width, s.up_std, s.bias, region),
      down(name + ".down", s.hidden, s.width, s.down_std, s.bias, region) {}

Mlp::Mlp(const std::string& name, const GptConfig& c, double down_std, const TensorRegion& region)
    : Mlp(name,
          {.width = c.width,
           .hidden = c.mlp_hidden,
           .activation = c.activation,
           .bias = c.bias,
           .up_std = c.init_std,
           .down_std = down_std},
          region) {}

Var Mlp::operator()(const Var& x) const {
  switch (activation) {
    case Activation::gelu:
      return down(up.gelu(x));
    case Activation::gelu_erf:
      return down(fusor::gelu(up(x), GeluForm::erf));
    case Activation::swiglu:
      return down(swiglu(up(x)));
  }
  raise("no such activation");
}

NormLayer::NormLayer(const std::string& name, const GptConfig& c, const TensorRegion& region)
    : NormLayer(name, c.norm, c.width, c.norm_eps, region) {}

NormLayer::NormLayer(const std::string& name, Norm kind_, std::int64_t width, double eps_,
                     const TensorRegion& region)
    : kind(kind_), eps(eps_), gain(name + ".gain", {width}, {.constant = 1}) {
  if (kind == Norm::layer_norm) bias.emplace(name + ".bias", Shape{width}, Fill{});
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
