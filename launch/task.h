#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "launch/batch.h"
#include "launch/config.h"
#include "launch/evaluation.h"
#include "launch/sampler.h"
#include "models/model.h"
#include "parallel/mesh.h"

namespace fusor {

// What a trainer of any model asks of a family of models and its data; a recipe is one. All but
// model() and inputs() want the splits they read opened before.
class Task {
 public:
  virtual ~Task() = default;

  // The recipe's model, on this mesh, without memory.
  virtual std::unique_ptr<Model> model(const Mesh& mesh = {}) const = 0;
  // The micro-batches of training and of evaluations, as a rank of this mesh holds them.
  virtual Inputs inputs(const RunSize& size, const Mesh& mesh) const = 0;

  // Opens a split of the recipe's dataset. Throws Error when it is missing, broken, too short, or
  // not of this model.
  virtual void open(const std::string& split) = 0;
  // Of all that the dataset holds.
  virtual std::string fingerprint() const = 0;
  // The micro-batches of a rank that reads data, from those of a step on.
  virtual BatchSource training(const RunSize& size, const Mesh& mesh, std::int64_t step) const = 0;
  // A split that was opened, each sample once over all copies of the model.
  virtual HeldOut held_out(const std::string& split, const RunSize& size,
                           const Mesh& mesh) const = 0;

  // "loss 1.2345 nats per token, 1.7810 bits per byte, perplexity 3.4367, 4096 tokens".
  virtual std::string describe(const Evaluation&) const = 0;
  // Floating-point operations of a step's forward and backward passes over all ranks, those of the
  // model alone; 0: what the rehearsal's operators add up to.
  virtual double flops_per_step(const RunSize&) const { return 0; }
  // What a run shows of itself as it trains; none: nothing.
  virtual std::unique_ptr<Sampler> sampler(const Model&, const Device&) const { return nullptr; }
};

// The task of a resolved config.
std::unique_ptr<Task> make_task(const Config& config);

// The number of this rank's first micro-batch within the step's global batch.
inline std::int64_t first_micro(const RunSize& size, const Mesh& mesh) {
  return mesh.place.dp * size.accumulation;
}

// All parameters, each once.
std::int64_t num_parameters(const Task& task);

}  // namespace fusor
