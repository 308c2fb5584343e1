#pragma once
#include <memory>
#include <string>

#include "launch/layout_trial.h"

// A few steps of any family's training under a layout, in the memory that its rehearsal planned:
// what the layout matrices of families share.
namespace fusor::layouts_of_task {

// `config` with the keys of [parallel] that `layout` gives, resolved.
Config config_of(Config config, const std::string& layout);

// Expects every rank to reach the peak that was planned for it, or to stay below: where
// micro-batches have several shapes, the steps of a trial may not hold the most of each.
enum class Peak { as_planned, at_most_planned };
TrialOutcome train(const std::shared_ptr<const Task>& task, const Config& config,
                   std::int64_t steps, Peak peak = Peak::as_planned);

// The same run of `one` under another layout: to the bit, or where a sum itself is split within
// rounding; weights within what the optimizer makes of that.
void expect_same_bits(const TrialOutcome& many, const TrialOutcome& one);
void expect_near(const TrialOutcome& many, const TrialOutcome& one, double within);

}  // namespace fusor::layouts_of_task
