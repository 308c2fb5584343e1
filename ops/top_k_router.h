#pragma once
#include <cstdint>

#include "ops/tape.h"

// The router of a mixture of experts: which experts a token goes to, and with what weights.
namespace fusor {

// The k experts with the largest logits of each row, best first; of equals the lower index first.
// logits [N, E] f32 or f64   result [N, k] i32
Tensor top_k(const Tensor& logits, std::int64_t k);

// Pulls the router towards equal use of all experts by the gradient of
//   coefficient * E * sum_e f_e P_e   times the tokens of the micro-batch,
// where f_e is expert e's share of all choices and P_e its mean probability: equations 4 to 6 of
// https://arxiv.org/abs/2101.03961. The value of no op contains it.
struct Balance {
  Tensor counts;           // [E] i32: how often each expert is chosen; undefined: no balance
  double coefficient = 0;  // of the loss
  Tensor loss_scale{};     // f64 [1]: of the loss's gradient, where that is scaled
};

// weights[n,j] = e^logits[n,c_j] / sum_i e^logits[n,c_i]   with c_1 .. c_k = choices[n,:]:
// the softmax renormalised over the chosen experts, as in https://arxiv.org/abs/2401.04088. Where
// k = 1 that would be 1 and teach the router nothing: then the weight is the probability among all
// experts, as in https://arxiv.org/abs/2101.03961.
// logits [N, E] f32 or f64   choices [N, k] i32   weights [N, k]
Var router_weights(const Var& logits, const Tensor& choices, const Balance& balance = {});

}  // namespace fusor
