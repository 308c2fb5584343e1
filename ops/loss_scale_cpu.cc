#include "ops/loss_scale_kernels.h"

namespace fusor::ops::kernels {

void adapt_loss_scale(Cpu, const double* norm, std::int64_t patience, double* state) {
  adapt(*norm, patience, state);
}

}  // namespace fusor::ops::kernels
