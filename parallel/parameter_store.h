#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "parallel/parameter.h"

namespace fusor {

// A tensor of a checkpoint: a name, and memory of this rank that holds it.
struct NamedTensor {
  std::string name;  // "weights/block.0.attn.q.weight", "adam.m/..."
  Tensor tensor;
};

// All parameters of a model in flat buffers, in the reverse order of the forward pass, so that the
// gradients of a backward pass fill from the front and reduce in contiguous buckets:
//   weights    compute dtype; what the kernels read
//   master     acc_dtype; what the optimizer updates. The weights themselves where dtypes agree
//   m, v       acc_dtype; AdamW's moments
//   gradients  acc_dtype
class ParameterStore {
 public:
  struct Slot {
    Parameter* parameter;
    std::int64_t offset,
        size;  // elements in every flat buffer; offsets are multiples of kAlignment
  };
  static constexpr std::int64_t kAlignment = 64;

  // For training; allocates everything on `device` and binds the parameters. size() is a multiple
  // of `parts`, so that collectives can split the flat buffers evenly.
  ParameterStore(std::vector<Parameter*> forward_order, DType compute, const Device& device,
                 std::int64_t parts = 1);
  // For inference: weights only.
  static ParameterStore frozen(std::vector<Parameter*> forward_order, DType compute,
                               const Device& device);

  // Draws every weight by its global index under `seed`, and zeroes the moments.
  void initialize(std::uint64_t seed) const;
  // Copies master into the weights, after master was loaded. Nothing where they share memory.
  void refresh_weights() const;

  const std::vector<Slot>& slots() const { return slots_; }
  std::int64_t size() const { return size_; }  // elements of a flat buffer, padding included
  std::int64_t num_parameters() const;
  const Tensor& gradients() const { return gradients_; }
  Tensor view(const Tensor& flat, const Slot&) const;  // a parameter's part of a flat buffer
  // Sends the next backward pass's gradients to `flat`, laid out like gradients().
  void direct_gradients(const Tensor& flat) const;
  // The next backward pass overwrites the gradients instead of adding to them.
  void restart_gradients() const;
  // Zeroes the gradients that no backward pass has written since: weights that no sample used.
  void zero_unused_gradients() const;

  // What a checkpoint holds, one entry a piece: master weights, and with `optimizer` both moments.
  std::vector<NamedTensor> state(bool optimizer) const;
  const Tensor& weights() const { return weights_; }
  const Tensor& master() const { return master_; }
  const Tensor& m() const { return m_; }
  const Tensor& v() const { return v_; }

 private:
  ParameterStore(std::vector<Parameter*> forward_order, DType compute, const Device& device,
                 std::int64_t parts, bool train);
  std::vector<Slot> slots_;
  std::int64_t size_ = 0;
  Tensor weights_, master_, gradients_, m_, v_;
};

}  // namespace fusor
