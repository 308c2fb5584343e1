#pragma once
#include <vector>

#include "ops/adamw.h"
#include "parallel/parameter_store.h"

namespace fusor {

struct UpdateSettings {
  ops::AdamW adamw{};
  double lr = 0;
  std::int64_t step = 1;    // this update's number, from 1
  double weight_decay = 0;  // of parameters that decay
  double clip = 0;          // of the norm of the mean gradient; 0: off
};

// The scale of the losses' gradients (ops/loss_scale.h).
struct LossScaling {
  double scale = 0;           // at first; 0: losses are not scaled
  std::int64_t patience = 0;  // updates until it doubles; 0: it stays as it is
};

// The end of a step, for the stages of this rank:
//   1. completes the gradients' sums over micro-batches and copies
//   2. adds the shares of tp where a gradient is partial over it, in rank order
//   3. adds a twin's gradient to its main's, wherever the two are
//   4. clips by the norm over the model's parameters, each element counted once
//   5. updates what this rank keeps, running means too, and makes the weights of its shard group
//      anew; where a gradient is not finite, weights and moments stay as they are
// With exact sums the bits depend neither on zero, buckets, dp nor pp.
class OptimizerStep {
 public:
  // The stores must outlive this.
  OptimizerStep(std::vector<ParameterStore*> stores, const LossScaling& scaling, const Mesh& mesh,
                const Device& device);

  // `targets`: what the gradients, which are sums, are divided by. Collective over Mesh::world.
  void run(const UpdateSettings& settings, double targets);
  // The two halves of run(): what changes from step to step is left in host memory, from which the
  // device reads it when the work that replay() queues gets there. Between the end of that work and
  // the next run(), replaying what was queued needs prepare() alone.
  void prepare(const UpdateSettings& settings, double targets);
  void replay(const UpdateSettings& settings);
  // f64 [1], of the mean gradient before clipping; not a number where nothing was updated.
  const Tensor& grad_norm() const { return grad_norm_; }
  // f64 [ops::kLossScaleState], the same on all ranks; undefined where losses are not scaled. The
  // first is what the losses' gradients have to be multiplied by.
  const Tensor& loss_scale() const { return loss_scale_; }

 private:
  void add_over_tp();
  void add_twins();
  void add_local_twin(const Bucket& bucket);
  void clip(double max_norm);
  void update(const ParameterStore& store, const Bucket& bucket, const UpdateSettings& settings);

  std::vector<ParameterStore*> stores_;
  Mesh mesh_;
  Device device_;
  Tensor sum_squares_;             // i64 [ops::ExactSum::kLimbs]
  Tensor grad_scale_, grad_norm_;  // f64 [1]
  LossScaling scaling_;
  Tensor loss_scale_;
  // f64 [1 + ops::kAdamWRates]: 1 / targets, then the rates; on the host, and where kernels run.
  Tensor prepared_, numbers_;
};

}  // namespace fusor
