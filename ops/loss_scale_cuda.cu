#include "ops/cuda.h"
#include "ops/loss_scale_kernels.h"

namespace fusor::ops::kernels {
namespace {

__global__ void adapt_kernel(const double* norm, std::int64_t patience, double* state) {
  adapt(*norm, patience, state);
}

}  // namespace

void adapt_loss_scale(Cuda on, const double* norm, std::int64_t patience, double* state) {
  cuda::run(on, {.blocks = 1, .threads = 1}, adapt_kernel, norm, patience, state);
}

}  // namespace fusor::ops::kernels
