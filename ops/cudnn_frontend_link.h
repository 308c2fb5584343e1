#pragma once

namespace fusor::ops {

// Tells cudnn-frontend where the functions of cuDNN are, and the CUDA runtime. Before any graph is
// described. Throws Error where cuDNN is not to be found.
void link_cudnn_frontend();

}  // namespace fusor::ops
