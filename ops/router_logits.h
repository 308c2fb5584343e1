#pragma once
#include "ops/tape.h"

namespace fusor {

// logits[n,e] = x[n,:] . w[e,:], kept in f32 where x is bf16: experts are chosen by small
// differences (Fedus et al. 2021, https://arxiv.org/abs/2101.03961, section 2.4).
// x [N, C]   w [E, C]   logits [N, E] of acc_dtype(x)
Var router_logits(const Var& x, const Var& w);

}  // namespace fusor
