#include "models/model.h"

namespace fusor {

Var Model::loss(const TokenBatch& batch, const Pass& pass) const {
  const std::vector<Part> all = parts();
  std::vector<Var> values(all.size());
  std::vector<int> readers(all.size(), 0);
  for (const Part& part : all)
    for (const int input : part.inputs) ++readers[static_cast<std::size_t>(input)];
  for (std::size_t i = 0; i < all.size(); ++i) {
    std::vector<Var> inputs;
    for (const int input : all[i].inputs) {
      const auto k = static_cast<std::size_t>(input);
      // The last reader has the only copy, so that operators may work in place.
      inputs.push_back(--readers[k] == 0 ? std::move(values[k]) : values[k]);
    }
    const Scope scope(batch.tokens.device(), all[i].name);
    values[i] = run(static_cast<int>(i), inputs, batch, pass);
  }
  return values.back();
}

void Model::visit(const Visitor& visitor) {
  for (std::size_t i = 0; i < parts().size(); ++i) visit(static_cast<int>(i), visitor);
}

std::vector<Parameter*> parameters_of(Model& model) {
  std::vector<Parameter*> all;
  model.visit([&](Parameter& p) { all.push_back(&p); });
  return all;
}

}  // namespace fusor
