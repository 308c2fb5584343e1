#include "models/model.h"

#include <numeric>

namespace fusor {

void run_parts(const std::vector<Part>& model, const std::vector<int>& parts,
               const std::vector<int>& keep, std::map<int, Var>& values, const RunPart& run) {
  std::map<int, int> readers;
  for (const int part : keep) ++readers[part];
  for (const int part : parts)
    for (const int input : model[static_cast<std::size_t>(part)].inputs) ++readers[input];
  for (const int part : parts) {
    std::vector<Var> inputs;
    for (const int input : model[static_cast<std::size_t>(part)].inputs) {
      Var& value = values[input];  // of a part that is idle: none
      // The last reader has the only copy, so that operators may work in place.
      inputs.push_back(--readers[input] == 0 ? std::move(value) : value);
    }
    values[part] = run(part, inputs);
  }
}

Var Model::loss(const Batch& batch, const Pass& pass) const {
  const std::vector<Part> all = parts();
  std::vector<int> order(all.size());
  std::iota(order.begin(), order.end(), 0);
  std::map<int, Var> values;
  run_parts(all, order, {order.back()}, values, [&](int part, const std::vector<Var>& inputs) {
    const Scope scope(batch.values.at(0).device(), all[static_cast<std::size_t>(part)].name);
    return idle(part, batch.shape) ? Var() : run(part, inputs, batch, pass);
  });
  return values[order.back()];
}

void Model::visit(const Visitor& visitor) {
  for (std::size_t i = 0; i < parts().size(); ++i) visit(static_cast<int>(i), visitor);
}

std::vector<std::vector<Parameter*>> parameters_by_part(Model& model) {
  std::vector<std::vector<Parameter*>> parts(model.parts().size());
  for (std::size_t i = 0; i < parts.size(); ++i)
    model.visit(static_cast<int>(i), [&](Parameter& p) { parts[i].push_back(&p); });
  return parts;
}

std::vector<Parameter*> parameters_of(Model& model) {
  std::vector<Parameter*> all;
  model.visit([&](Parameter& p) { all.push_back(&p); });
  return all;
}

}  // namespace fusor
