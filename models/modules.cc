#include "models/modules.h"

#include "ops/layer_norm.h"
#include "ops/rms_norm.h"

namespace fusor {
NormLayer::NormLayer(const std::string& name, const GptConfig& c, const TensorRegion& region)
    : kind(c.norm), eps(c.norm_eps), gain(name + ".gain", {c.width}, {.constant = 1}) {
  if (kind == Norm::layer_norm) bias.emplace(name + ".bias", Shape{c.width}, Fill{});
  gain.partial_over_tp = region.sequence;
  if (bias) bias->partial_over_tp = region.sequence;
}

Var NormLayer::operator()(const Var& x) const {
  return kind == Norm::layer_norm ? layer_norm(x, gain, *bias, eps) : rms_norm(x, gain, eps);
}

}  // namespace fusor
