#pragma once
#include <cstddef>
#include <string>

#include "ops/conv2d_kernels.h"

// Convolutions by cuDNN, which kernels::conv2d(Cuda, ...) asks before it uses its own kernels: f32,
// bf16 and f16, where a GPU and a sound cuDNN are at hand. Algorithms give the same bits each run.
namespace fusor::ops {

// Queues the call and returns "", or queues nothing and returns why cuDNN does not take it.
std::string cudnn_conv2d(Cuda, const kernels::Conv2dCall&, const kernels::Conv2dOperands&);

// Bytes that a call works in, 0 if cuDNN does not take it; where there is no GPU to ask, 0 too.
// Plans are made here, once for a call: rehearse before a stream is captured.
std::size_t cudnn_conv2d_workspace(const kernels::Conv2dCall&);

}  // namespace fusor::ops
