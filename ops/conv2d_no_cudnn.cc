// In place of conv2d_cudnn.cc where Fusor is built without cuDNN.
#include "ops/conv2d_cudnn.h"

namespace fusor::ops {

std::string cudnn_conv2d(Cuda, const kernels::Conv2dCall&, const kernels::Conv2dOperands&) {
  return "Fusor was built without cuDNN";
}

std::size_t cudnn_conv2d_workspace(const kernels::Conv2dCall&) { return 0; }

}  // namespace fusor::ops
