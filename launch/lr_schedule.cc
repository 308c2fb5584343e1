#include "launch/lr_schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace fusor {

double lr_at(std::int64_t step, std::int64_t steps, const OptimizerConfig& o) {
  if (step < o.warmup_steps)
    return o.lr * static_cast<double>(step + 1) / static_cast<double>(o.warmup_steps);
  if (o.schedule == Decay::constant) return o.lr;
  const std::int64_t decay_steps = std::max<std::int64_t>(1, steps - o.warmup_steps);
  const std::int64_t done = std::min(step - o.warmup_steps, decay_steps);
  const double t = static_cast<double>(done) / static_cast<double>(decay_steps);
  const double left =
      o.schedule == Decay::linear ? 1 - t : (1 + std::cos(std::numbers::pi * t)) / 2;
  return o.min_lr + (o.lr - o.min_lr) * left;
}

}  // namespace fusor
