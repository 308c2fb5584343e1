#pragma once
#include <string>

#include "launch/layout_trial.h"

// Tiny GPTs trained under any layout in the arena that was planned for it, dropout and clipping on.
namespace fusor::layouts_of_gpt {

enum class Kind { classic, modern, sparse };
constexpr std::int64_t kSteps = 10;

// Micro-batches of one sample, eight a step; `layout` as in launch/layout_text.h.
Config config_of(Kind kind, DType dtype, const std::string& layout);

// The recipe's steps from `first_step` on, where train.device says (each rank has a GPU
// while they last; auto: the CPU). Expects every rank's memory to be what was planned.
Trial trial_of(const Config& config, std::int64_t first_step = 0, std::int64_t steps = kSteps);

// Trains the first `steps` and saves the run in `folder`; trains from such a checkpoint on.
void save_after(std::int64_t steps, const Config& config, const std::string& folder);
TrialOutcome resume(const Config& config, const std::string& folder, std::int64_t first_step,
                    std::int64_t steps);
// Of a run that was not stopped, what it gave after `steps`.
TrialOutcome after(std::int64_t steps, TrialOutcome whole);

// Expects the same losses, norms, and weights and moments after the last step: to the bit, or
// within a fraction (of each tensor's largest element; in f32 weights and
// moments within ten times that).
void expect_same_bits(const TrialOutcome& got, const TrialOutcome& want);
void expect_near(const TrialOutcome& got, const TrialOutcome& want, double within);

}  // namespace fusor::layouts_of_gpt
