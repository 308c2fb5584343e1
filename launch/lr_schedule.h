#pragma once
#include <cstdint>

#include "launch/config.h"

namespace fusor {

// The learning rate of step `step` (the first is 0) of a run of `steps`:
//   step < warmup:  lr x (step + 1) / warmup
//   after that:     with t = (step - warmup) / (steps - warmup), clamped to 1,
//     constant      lr
//     linear        min_lr + (lr - min_lr) x (1 - t)
//     cosine        min_lr + (lr - min_lr) x (1 + cos(pi t)) / 2, https://arxiv.org/abs/1608.03983
double lr_at(std::int64_t step, std::int64_t steps, const OptimizerConfig&);

}  // namespace fusor
