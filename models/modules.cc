#include "models/modules.h"

#include "ops/layer_norm.h"
#include "ops/linear.h"
#include "ops/rms_norm.h"

namespace fusor {
namespace {

std::vector<Piece> suffixed(std::vector<Piece> parts, const char* suffix) {
  for (Piece& part : parts) part.name += suffix;
  return parts;
}

std::int64_t rows_of(const std::vector<Piece>& parts) {
  std::int64_t rows = 0;
  for (const Piece& part : parts) rows += part.rows;
  return rows;
}

}  // namespace

Linear::Linear(const std::string& name, std::int64_t in, std::int64_t out, double std, bool bias)
    : Linear({{name, out}}, in, std, bias) {}

Linear::Linear(const std::vector<Piece>& parts, std::int64_t in, double std, bool bias)
    : w(suffixed(parts, ".weight"), {rows_of(parts), in}, {.std = std}) {
  if (bias) b.emplace(suffixed(parts, ".bias"), Shape{rows_of(parts)}, Fill{});
}

Var Linear::operator()(const Var& x) const { return linear(x, w, b ? b->var : Var()); }
Var Linear::gelu(const Var& x) const { return linear_gelu(x, w, b ? b->var : Var()); }

NormLayer::NormLayer(const std::string& name, const GptConfig& c)
    : kind(c.norm), eps(c.norm_eps), gain(name + ".gain", {c.width}, {.constant = 1}) {
  if (kind == Norm::layer_norm) bias.emplace(name + ".bias", Shape{c.width}, Fill{});
}

Var NormLayer::operator()(const Var& x) const {
  return kind == Norm::layer_norm ? layer_norm(x, gain, *bias, eps) : rms_norm(x, gain, eps);
}

}  // namespace fusor
