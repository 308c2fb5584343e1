#pragma once
#include <span>

#include "runtime/tensor.h"

// Clipping of gradients by their global norm, without a number leaving the device.
namespace fusor::ops {

// out f64 [1] = the sum of the squares of every element, in double and in an order that depends on
// the tensors' sizes alone. The tensors are of one floating dtype.
void sum_squares(std::span<const Tensor> tensors, const Tensor& out);

// Of gradients that are sums over 1 / inv_count items, with squares that add up to sum_squares:
//   norm  = inv_count sqrt(sum_squares)                    of their mean
//   scale = inv_count min(1, max_norm / (norm + 1e-6))     what to multiply them by
// A max_norm of 0 does not clip. A norm that is not a number makes scale one too. All three f64
// [1]. Pascanu et al., "On the difficulty of training recurrent neural networks", ICML 2013, as in
// torch.nn.utils.clip_grad_norm_.
void clip_scale(const Tensor& sum_squares, double inv_count, double max_norm, const Tensor& scale,
                const Tensor& norm);

}  // namespace fusor::ops
