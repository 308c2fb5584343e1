#pragma once
#include <array>
#include <cstdint>
#include <span>

#include "runtime/tensor.h"

namespace fusor::ops {

// What the optimizer keeps of one weight. All five have the same number of elements.
struct AdamWTensor {
  Tensor weight;  // in the dtype that computes
  Tensor master;  // in weight's accumulator dtype; may share weight's storage if that is the same
  Tensor m, v;    // running means of g and g^2, in the accumulator dtype
  Tensor grad;    // in the accumulator dtype
  double decay = 0;  // weight decay of this weight
};

struct AdamW {
  double beta1 = 0.9, beta2 = 0.95, eps = 1e-8;
};

// What changes from one update to the next: lr, 1 - beta1^step, 1 - beta2^step. Steps count from 1.
inline constexpr std::int64_t kAdamWRates = 3;
std::array<double, kAdamWRates> adamw_rates(const AdamW&, double lr, std::int64_t step);

// One update of every weight, in one pass:
//   g = grad_scale grad        master -= lr decay master
//   m += (1 - beta1) (g - m)   v = beta2 v + (1 - beta2) g^2
//   master -= lr / (1 - beta1^step) m / (sqrt(v) / sqrt(1 - beta2^step) + eps)
//   weight = master, rounded
// A grad_scale of 0 leaves all as it is. The weights are of one dtype. rates f64 [kAdamWRates] and
// grad_scale f64 [1] are read where the kernel runs, so that an update can be replayed. Loshchilov
// and Hutter, "Decoupled weight decay regularization", ICLR 2019, as in torch.optim.AdamW.
void adamw(std::span<const AdamWTensor>, const AdamW&, const Tensor& rates,
           const Tensor& grad_scale);

}  // namespace fusor::ops
