#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "io/tensor_box.h"
#include "parallel/bucket.h"
#include "parallel/gradient_reducer.h"

namespace fusor {

struct StoreOptions {
  DType compute = DType::f32;
  // What the ranks of Mesh::shard split between them (of experts: those of Mesh::expert_data):
  //   0 nothing   1 optimizer state and master weights   2 gradients too   3 weights too
  // Rajbhandari et al. 2020, "ZeRO", https://arxiv.org/abs/1910.02054.
  int zero = 0;
  Reduce reduce = Reduce::fast;
  std::int64_t micros = 1;  // micro-batches of a step on this rank
  std::int64_t bucket_bytes = std::int64_t{25} << 20;
  std::vector<Tie> ties{};  // weights that another stage has too
};

// Part of a logical tensor with this rank's memory of it, flat.
struct StateBox {
  TensorBox box;  // named "weights/block.0.attn.q.weight", "adam.m/..."
  Tensor tensor;
};

// The parameters of a stage in buckets of flat buffers:
//   weights    compute dtype; what the kernels read
//   master     acc_dtype; what the optimizer updates. The weights themselves where dtypes agree
//   m, v       acc_dtype; AdamW's moments
//   gradients  acc_dtype
// Per weight and rank, of s ranks that shard, in f32: 16 bytes at zero = 0; 8 + 8/s; 4 + 12/s; 16/s
// and what is gathered or not yet reduced. A parameter whose twin_of is in the same store shares
// all but the gradient with it.
//
// One step, whose end is launched by OptimizerStep (optimizer_step.h):
//   for each micro-batch i, ascending: begin_micro(i); all that writes its gradients; end_micro(i)
// Every micro-batch allocates the same. At zero = 3 a part's weights have bytes from fetch() to
// release(), in forward and in backward; below, both do nothing. All ranks of the shard group make
// the calls in the same order.
class ParameterStore {
 public:
  // For training; allocates on `device` and binds the parameters. `parts` in forward order, each
  // with its parameters in forward order; they must outlive the store and stay where they are.
  ParameterStore(const std::vector<std::vector<Parameter*>>& parts, const StoreOptions& options,
                 const Mesh& mesh, const Device& device);
  // For inference: whole weights only.
  static ParameterStore frozen(const std::vector<Parameter*>& parameters, DType compute,
                               const Device& device);
  ParameterStore(ParameterStore&&) noexcept = default;

  // Draws every weight by its global index under `seed`, and zeroes the moments. Collective.
  void initialize(std::uint64_t seed) const;
  // Makes the weights of all ranks what the masters are: after these were loaded. Collective.
  void publish() const;

  void begin_micro(std::int64_t i) { reducer_->begin_micro(i); }
  void end_micro(std::int64_t i) { reducer_->end_micro(i); }

  void fetch(int part);  // begins by itself where prefetch() has not
  void prefetch(int part);
  void release(int part);

  // The logical tensors as far as this rank keeps them: master weights, and with `optimizer` both
  // moments. What a checkpoint is read into.
  std::vector<StateBox> state(bool optimizer) const;
  // The same of what this rank alone answers for: between all ranks every element is there once.
  // What a checkpoint is written from.
  std::vector<StateBox> share_of_state(bool optimizer) const;
  // The reduced gradients, before clipping, as far as this rank keeps them: "gradients/...".
  std::vector<StateBox> gradients() const;

  const std::vector<Bucket>& buckets() const { return buckets_; }
  // What adds up in a bucket's gradient: a step's micro-batches, on all ranks with copies.
  std::int64_t contributions(const Bucket& bucket) const {
    return micros_ * bucket.groups.all.size();
  }
  // The end of a step.
  void finish_reduction() { reducer_->finish(); }

 private:
  ParameterStore(const std::vector<std::vector<Parameter*>>& parts, const StoreOptions& options,
                 const Mesh& mesh, const Device& device, bool train);
  struct Gathering {
    int users = 0;  // fetched and not yet released
    bool begun = false;
    Pending pending{};
  };
  void allocate(Bucket&, bool train) const;
  void bind(const Bucket&, bool train) const;
  void begin_gather(std::size_t bucket);
  void append_state(const char* kind, Tensor Bucket::*buffer, bool share,
                    std::vector<StateBox>& boxes) const;
  std::vector<StateBox> state(bool optimizer, bool share) const;

  int tp_place_;
  std::int64_t micros_;
  std::vector<Bucket> buckets_;
  std::vector<std::vector<int>> uses_;  // by part: its buckets
  std::vector<Gathering> gathering_;    // by bucket
  std::unique_ptr<GradientReducer> reducer_;
};

}  // namespace fusor
