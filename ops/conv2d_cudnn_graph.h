#pragma once
#include <cudnn_graph.h>

#include <array>
#include <cstddef>
#include <memory>
#include <string>

#include "ops/attention_cudnn_rules.h"
#include "ops/conv2d_kernels.h"

namespace fusor::ops {

// cuDNN's plan of one pass of a convolution, with the same bits each run. It overwrites c.
class Conv2dGraph {
 public:
  // Of a handle's GPU. Throws Error with cuDNN's reason where it has no kernel.
  Conv2dGraph(cudnnHandle_t, const CudnnSetup&, const kernels::Conv2dCall&);
  ~Conv2dGraph();
  Conv2dGraph(Conv2dGraph&&) noexcept;

  std::size_t workspace() const { return workspace_; }  // bytes

  // In this order: a, b and c of Conv2dOperands, and bias.
  using Tensors = std::array<void*, 4>;
  void run(cudnnHandle_t, Tensors, std::byte* workspace) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
  int tensors_;
  std::size_t workspace_;
};

// Throws Error unless cuDNN accepts every descriptor of such a graph; see check_attention_graph.
void check_conv2d_graph(const std::string& device, const CudnnSetup&, const kernels::Conv2dCall&);

}  // namespace fusor::ops
