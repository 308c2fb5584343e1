#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "models/batch.h"
#include "ops/tape.h"
#include "parallel/parameter.h"

namespace fusor {

// Where a forward pass stands in the run. What is random in it is a function of these and of global
// element indices, so it is the same under every layout.
struct Pass {
  Tape* tape = nullptr;              // records the pass; null: inference
  bool training = false;             // dropout is on
  bool recompute_attention = false;  // backward runs attention again: its activations are not kept
  std::uint64_t seed = 0;
  Tensor step{};                  // i64 [1], the optimizer's step, where there is dropout
  Tensor loss_scale{};            // f64 [1], of the loss's gradient, where that is scaled
  std::int64_t first_sample = 0;  // of this micro-batch, within the step's global batch
};

// A piece of a model between whose ends one value flows on: what a pipeline places, a recomputation
// repeats and ZeRO-3 gathers at a time.
struct Part {
  std::string name;         // "block.3": the scope of its operators and the stem of its parameters
  std::vector<int> inputs;  // the parts before it whose values it reads
  bool reads_batch = false;
};

// What the trainer asks of a model: its parts, in an order in which they can run. The last one's
// value is the loss, f64 [1]: a sum over targets, such as that of -log p(target). Without a tape it
// is f64 [1 + measures().size()]: after the loss, sums that tell how good the model is. Models are
// plain structs of modules; this is the door that a trainer of any model looks through.
class Model {
 public:
  virtual ~Model() = default;
  virtual std::vector<Part> parts() const = 0;
  // inputs: the values of parts()[part].inputs, in that order.
  virtual Var run(int part, const std::vector<Var>& inputs, const Batch& batch,
                  const Pass& pass) const = 0;
  // What run(part, ...) returns for such a batch; its dtype is the weights', except the loss's.
  virtual Shape output_shape(int part, const BatchShape& batch) const = 0;
  // Whether a part has nothing to do on such batches, as an encoder whose modality is missing. It
  // is not run then, has no value, and nothing of it is passed between ranks; but where ranks share
  // its weights they gather and reduce them as ever. Parts that read it get a Var of no value; a
  // part is idle only where all it reads is.
  virtual bool idle(int /*part*/, const BatchShape&) const { return false; }
  // Calls visitor on each parameter of a part, in the order of the forward pass.
  virtual void visit(int part, const Visitor& visitor) = 0;

  // What the sums after the loss count, "correct" say; each is divided by the targets to be told.
  virtual std::vector<std::string> measures() const { return {}; }

  // All parts, one after the other.
  Var loss(const Batch& batch, const Pass& pass) const;
  void visit(const Visitor& visitor);
};

// Runs `parts` of a model, ascending: `values` has what they read from outside, and gets their
// values, of which those that are read by none of them and not in `keep` are soon gone.
using RunPart = std::function<Var(int part, const std::vector<Var>& inputs)>;
void run_parts(const std::vector<Part>& model, const std::vector<int>& parts,
               const std::vector<int>& keep, std::map<int, Var>& values, const RunPart& run);

// What a ParameterStore takes; the model must not move while the store lives.
std::vector<std::vector<Parameter*>> parameters_by_part(Model& model);
std::vector<Parameter*> parameters_of(Model& model);

}  // namespace fusor
