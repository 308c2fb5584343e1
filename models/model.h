#pragma once
#include <cstdint>
#include <vector>

#include "ops/tape.h"
#include "parallel/parameter.h"

namespace fusor {

// Where a forward pass stands in the run. What is random in it is a function of these and of global
// element indices, so it is the same under every layout.
struct Pass {
  Tape* tape = nullptr;   // records the pass; null: inference
  bool training = false;  // dropout is on
  std::uint64_t seed = 0;
  std::int64_t step = 0;          // of the optimizer
  std::int64_t first_sample = 0;  // of this micro-batch, within the step's global batch
};

// Token sequences of equal length and, for each token, the one to predict.
struct TokenBatch {
  Tensor tokens, targets;  // i32 [samples * seq_len]; target -1: ignored
  std::int64_t samples, seq_len;
};

// What the trainer asks of a language model. Models are plain structs of modules; this is the door
// that a trainer of any model looks through.
class Model {
 public:
  virtual ~Model() = default;
  // The sum over valid targets of -log p(target), f64 [1].
  virtual Var loss(const TokenBatch& batch, const Pass& pass) const = 0;
  // Calls visitor on each parameter, in the order of the forward pass.
  virtual void visit(const Visitor& visitor) = 0;
};

// What a ParameterStore takes; the model must not move while the store lives.
inline std::vector<Parameter*> parameters_of(Model& model) {
  std::vector<Parameter*> all;
  model.visit([&](Parameter& p) { all.push_back(&p); });
  return all;
}

}  // namespace fusor
