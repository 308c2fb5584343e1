#pragma once
#include <cudnn_graph.h>

#include <array>
#include <cstddef>
#include <memory>
#include <string>

#include "ops/attention_cudnn_rules.h"

namespace fusor::ops {

// cuDNN's plan of one pass over a part of an attention in bf16 or f16, of whole sequences and
// with the same bits each run.
class AttentionGraph {
 public:
  // Of a handle's GPU. Throws Error with cuDNN's reason where it has no kernel.
  AttentionGraph(cudnnHandle_t, const CudnnSetup&, DType, const AttentionShape&, AttentionPass);
  ~AttentionGraph();
  AttentionGraph(AttentionGraph&&) noexcept;

  const AttentionPart& part() const { return part_; }
  std::size_t workspace() const { return workspace_; }  // bytes

  // In this order: q, k, v, y, log_sum_exp and, backward, dy, dq, dk, dv; the first element of the
  // part, in the layout of ops/attention.h.
  using Tensors = std::array<void*, 9>;
  void run(cudnnHandle_t, Tensors, std::byte* workspace) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
  AttentionPart part_;
  AttentionPass pass_;
  std::size_t workspace_;
};

// Throws Error unless cuDNN accepts every descriptor of such a graph. `device` describes a GPU as
// cuDNN serialises them (CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION): none has to be there. For
// tests.
void check_attention_graph(const std::string& device, const CudnnSetup&, DType,
                           const AttentionShape&, AttentionPass);

}  // namespace fusor::ops
