#include "ops/conv2d_cuda.h"

#include <algorithm>

#include "ops/conv2d_cudnn.h"

namespace fusor::ops::kernels {

std::size_t conv2d_workspace(Cuda, const Conv2dCall& call) {
  const std::size_t own = cuda::by_elements(call.shape) ? cuda::conv2d_elements_workspace(call)
                                                        : cuda::conv2d_tiles_workspace(call);
  return std::max(own, cudnn_conv2d_workspace(call));
}

void conv2d(Cuda on, const Conv2dCall& call, const Conv2dOperands& operands) {
  if (cudnn_conv2d(on, call, operands).empty()) return;
  if (cuda::by_elements(call.shape)) return cuda::conv2d_elements(on, call, operands);
  cuda::conv2d_tiles(on, call, operands);
}

}  // namespace fusor::ops::kernels
