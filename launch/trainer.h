#pragma once
#include <memory>
#include <vector>

#include "launch/batch.h"
#include "launch/config.h"
#include "launch/evaluation.h"
#include "models/gpt_config.h"
#include "models/model.h"
#include "parallel/mesh.h"
#include "parallel/optimizer_step.h"
#include "parallel/parameter_store.h"

namespace fusor {

// One rank of a training run: the model, its parameters, and the step. The same code runs the
// rehearsal (a meta device and mesh, no data) and the run.
class Trainer {
 public:
  // Collective. `config` is resolved; `model`, fresh and any, gets its memory from `device` and
  // must outlive the trainer.
  Trainer(Model& model, const Config& config, const RunSize& size, const Mesh& mesh,
          const Device& device);
  Trainer(const Trainer&) = delete;
  Trainer& operator=(const Trainer&) = delete;
  ~Trainer();

  // What each rank adds to the one gather of every step: a number for each, in the order given.
  using Flags = std::vector<double>;
  struct Step {
    double loss = 0;       // mean over the step's targets, nats
    double grad_norm = 0;  // of the mean gradient, before clipping
    std::int64_t targets = 0;
    std::vector<Flags> flags;  // by rank
  };

  // Draws the weights. Collective.
  void initialize();
  // Forward and backward of this rank's micro-batches of optimizer step `step` (from 0). The
  // gradients are complete after update(), which must follow.
  void accumulate(std::int64_t step, const BatchSource& next);
  // Reduces the gradients, clips, and updates the weights. All ranks pass as many flags.
  Step update(std::int64_t step, const Flags& flags);

  // Runs `count` micro-batches of held-out data; sums over all ranks.
  Evaluation evaluate(std::int64_t count, const BatchSource& next);

  const ParameterStore& parameters() const { return parameters_; }
  const RunSize& size() const { return size_; }
  const Device& device() const { return device_; }
  std::int64_t first_micro() const { return mesh_.dp.rank() * size_.accumulation; }

 private:
  void micro(std::int64_t step, std::int64_t i, const BatchSource& next);
  MicroShape micro_shape() const {
    return {size_.micro_batch, RowMap::zigzag(0, size_.seq_len, mesh_.cp.rank(), mesh_.cp.size())};
  }
  void apply(std::int64_t step, double targets);

  Config config_;
  RunSize size_;
  Mesh mesh_;
  Device device_;
  Model& model_;
  ParameterStore parameters_;
  OptimizerStep optimizer_;
  Tensor one_, losses_;       // f64 [1]; f64 [accumulation], sums of nats
  std::int64_t targets_ = 0;  // of this rank's micro-batches so far
};

// The peak of the model's own work: floating-point operations of forward and backward a token,
// 6 N + 6 L C T, with N the parameters that a token meets, L layers, C the width and T the sequence
// length (the causal half of attention's 12 L C T). The formula of llm.c and of the PaLM paper's
// appendix B.
double flops_per_token(const GptConfig& config, std::int64_t seq_len);

}  // namespace fusor
