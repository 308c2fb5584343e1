#pragma once
#include <span>

#include "ops/exact_sum.h"
#include "runtime/tensor.h"

// Clipping of gradients by their global norm, without a number leaving the device.
namespace fusor::ops {

// sum i64 [ExactSum::kLimbs] = the sum of the squares of every element: of 64 consecutive ones of a
// tensor in double, and of these sums without rounding. So it is the same to the bit however the
// tensors are cut at multiples of 64 elements, in any order and, added as integers, over ranks. The
// tensors are of one floating dtype.
void sum_squares(std::span<const Tensor> tensors, const Tensor& sum);

// Of gradients that are sums over 1 / inv_count items of losses times loss_scale, with squares that
// add up to `sum`:
//   unit  = inv_count / loss_scale
//   norm  = unit sqrt(sum)                            of the mean loss's gradient
//   scale = unit min(1, max_norm / (norm + 1e-6))     what to multiply the gradients by
// A max_norm of 0 does not clip. A norm that is not a number makes scale 0: no update. All f64 [1];
// loss_scale may be undefined, which is 1.
// Pascanu et al., "On the difficulty of training recurrent neural networks", ICML 2013, as in
// torch.nn.utils.clip_grad_norm_.
void clip_scale(const Tensor& sum, const Tensor& inv_count, double max_norm, const Tensor& scale,
                const Tensor& norm, const Tensor& loss_scale = {});

}  // namespace fusor::ops
