#pragma once
#include <cstdint>

#include "runtime/tensor.h"

// Loss scaling: the gradient of the loss is multiplied by a factor, so that what is small in the
// backward pass does not vanish in f16, and the sums of gradients are divided by it again
// (ops/grad_norm.h). Micikevicius et al., "Mixed precision training", ICLR 2018.
namespace fusor::ops {

inline constexpr std::int64_t kLossScaleState = 2;

// state f64 [kLossScaleState]: the scale, and the updates since it last changed. norm f64 [1] is
// the gradients'. Not a number: something overflowed, and the scale is halved. Else, after
// `patience` such updates, it is doubled. Read and written where the kernel runs, so that it can be
// replayed.
void adapt_loss_scale(const Tensor& norm, const Tensor& state, std::int64_t patience);

}  // namespace fusor::ops
