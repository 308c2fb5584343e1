#pragma once
#include <memory>
#include <string>
#include <vector>

#include "launch/batch.h"
#include "launch/config.h"
#include "launch/evaluation.h"
#include "launch/task.h"
#include "models/pipeline.h"
#include "parallel/optimizer_step.h"

namespace fusor {

// One rank of a training run: its stages of the task's model, their parameters, and the step. The
// same code runs the rehearsal (a meta device and mesh, no data) and the run.
class Trainer {
 public:
  // Collective. `config` is resolved; the task's model gets its memory from `device`.
  Trainer(const Task& task, const Config& config, const RunSize& size, const Mesh& mesh,
          const Device& device);
  Trainer(const Trainer&) = delete;
  Trainer& operator=(const Trainer&) = delete;
  ~Trainer();

  // On a meta device: the micro-batches of the steps to come have this one of the shapes.
  void rehearse_shape(std::size_t shape);
  std::size_t num_shapes() const { return inputs_.shapes.size(); }

  // What each rank adds to the one gather of every step: a number for each, in the order given.
  using Flags = std::vector<double>;
  struct Step {
    double loss = 0;       // mean over the step's targets, nats
    double grad_norm = 0;  // of the mean gradient, before clipping
    bool skipped = false;  // a gradient was not finite: the weights are as they were
    std::int64_t targets = 0;
    std::vector<Flags> flags;  // by rank
  };

  // What scaled losses leave to the next step.
  struct Scaling {
    double scale = 0, since = 0;  // as ops/loss_scale.h keeps them; 0: losses are not scaled
    std::int64_t skipped = 0;     // steps that updated nothing
  };
  const Scaling& scaling() const { return scaling_; }
  // Goes on from another trainer's; a scale that the recipe gives stays.
  void resume_scaling(const Scaling& before);

  // Draws the weights. Collective.
  void initialize();
  // Forward and backward of this rank's micro-batches of optimizer step `step` (from 0), queued on
  // the device. The gradients are complete after update(), which must follow.
  void accumulate(std::int64_t step, const BatchSource& next);
  // Reduces the gradients, clips, and updates the weights; waits for all of the step and reads its
  // results. All ranks pass as many flags.
  Step update(std::int64_t step, const Flags& flags);

  // What to rehearse evaluations with: a micro-batch of each shape.
  HeldOut rehearsed_evaluation() const;
  // Runs the held-out micro-batches; sums over all ranks.
  Evaluation evaluate(const HeldOut& data);

  const Model& model() const { return *model_; }
  // The stages of this rank, ascending.
  std::vector<ParameterStore*> stores() const { return pipeline_.stores(); }
  const RunSize& size() const { return size_; }
  const Device& device() const { return device_; }
  // Why steps are queued operator by operator; empty where each after the first is queued at once.
  const std::string& why_not_captured() const { return why_not_captured_; }
  bool reads_batch() const { return pipeline_.reads_batch(); }
  const Mesh& mesh() const { return mesh_; }

 private:
  // What changes from step to step is written to host memory, from which the device copies it when
  // the queued work gets there. Nothing that queues waits for the device.
  void prepare(std::int64_t step, const BatchSource& next);
  void queue_micro_batches(std::int64_t step);
  void queue_update(const UpdateSettings& settings);
  void read_scaling(Step& step);
  void queue_rest(std::int64_t step, const UpdateSettings& settings);
  const BatchShape& shape_of(std::int64_t step, std::int64_t micro) const {
    return inputs_.of(step, first_micro(size_, mesh_) + micro);
  }
  // Whether this step is queued at once, by update(). The first is not: libraries choose and load
  // their kernels as it runs.
  bool at_once() const { return steps_ > 0 && why_not_captured_.empty(); }
  UpdateSettings settings_of(std::int64_t step) const;
  // The first of the ranks that have the same loss: those of a tensor-parallel group.
  bool counts_loss() const { return pipeline_.has_loss() && mesh_.place.tp == 0; }
  double sum_of_losses() const;
  static void call_progress(void* trainer);

  std::unique_ptr<Model> model_;
  Inputs inputs_;
  Config config_;
  RunSize size_;
  Mesh mesh_;
  Device device_;
  Pipeline pipeline_;
  OptimizerStep optimizer_;
  Tensor prepared_step_, step_;       // i64 [1], the optimizer's: on the host, and for kernels
  std::vector<Group> talking_;        // the groups that calls may be in flight on
  Tensor losses_;                     // f64 [accumulation], sums of nats
  std::vector<StagedBatch> batches_;  // one per micro-batch, where this rank reads them
  // What is read of a step, on the host: as losses_, f64 [1], and as OptimizerStep::loss_scale().
  Tensor read_losses_, read_norm_, read_scale_;
  Scaling scaling_;
  std::int64_t targets_ = 0;  // of this rank's micro-batches
  std::int64_t steps_ = 0;    // by this trainer
  std::string why_not_captured_;
  std::unique_ptr<Captured> captured_;  // a whole step
};

}  // namespace fusor
