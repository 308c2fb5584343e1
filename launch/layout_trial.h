#pragma once
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "launch/task.h"
#include "launch/trainer.h"
#include "runtime/world.h"

namespace fusor {

// A few steps of training under one layout, its ranks as threads of this process: what layouts are
// compared by.
struct Trial {
  Config config;  // resolved
  int ranks = 1;
  int threads = 1;                         // of each rank
  std::int64_t first_step = 0, steps = 1;  // of the optimizer
  std::shared_ptr<const Task> task;        // has opened "train"
  // Of a rank, which calls it before all else; none: the heap.
  std::function<Device(const RunSize&, int rank)> make_device{};
  // Instead of fresh weights, and after the last step; none: nothing. Collective.
  std::function<void(Trainer&, const World&)> begin{}, end{};
};

using WholeTensors = std::map<std::string, Tensor>;  // on the heap, by name

struct TrialOutcome {
  std::vector<double> losses, grad_norms;  // by step
  WholeTensors gradients;                  // of the first step, before clipping: "gradients/..."
  WholeTensors state;  // after the last: "weights/...", "adam.m/...", "adam.v/..."
};

// Throws the Error of the first rank to meet one.
TrialOutcome run_trial(const Trial& trial);

struct TrialDifference {
  bool same_bits = true;  // losses, norms and gradients
  double loss = 0;        // largest of the steps' losses, relative
  // Largest of a parameter's gradient, relative to its largest element (or to the gradient's norm
  // / 100 where that is more: some gradients are rounding alone), and that parameter.
  double gradient = 0;
  std::string parameter;
};
TrialDifference difference(const TrialOutcome& many, const TrialOutcome& one);

// What sums in another order come to in a few steps, as a bound on both differences.
double rounding_of(DType dtype);

enum class Verdict : std::uint8_t { same_bits, within_rounding, differs };
Verdict verdict_of(const TrialDifference&, DType dtype);
std::string_view text_of(Verdict);

}  // namespace fusor
