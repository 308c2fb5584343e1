#pragma once
#include <filesystem>
#include <optional>
#include <string>

#include "launch/placement.h"
#include "launch/rehearsal.h"
#include "launch/saver.h"
#include "launch/trainer.h"
#include "runtime/metrics.h"
#include "runtime/run_log.h"
#include "runtime/world.h"

namespace fusor {

// A training run from its first step, or from where a checkpoint left it, to its end. All that is
// on the disk lies in config.log.dir: recipe.ini, metrics.jsonl, run.log and checkpoints/.
class Run {
 public:
  // Collective. `task` has opened "train" and, where the recipe evaluates, "val"; `rehearsal` is
  // this rank's, for where it is placed.
  Run(const Task& task, const Config& config, const RunSize& size, const Placement& placement,
      const Rehearsal& rehearsal, const World& world);
  void train();

 private:
  // What goes on from one step to the next, and into a checkpoint.
  struct State {
    std::int64_t step = 0;  // optimizer steps done
    double best_loss = 0;   // of the evaluations
    std::int64_t evaluations = 0, without_gain = 0;
  };

  void start_or_resume();
  void open_logs();
  // Returns what is not as it was, a line each.
  std::vector<std::string> set_state(const nlohmann::json& saved, const std::string& where);
  nlohmann::json state_json() const;
  bool one_step(const BatchSource& batches);  // false: the run ends here
  // Collective: every rank has the same value.
  void require_finite(double value, const std::string& name) const;
  void tell_of_skipped();
  bool evaluate();  // false: no gain for as long as the recipe's patience
  MetricsEvent event_of(const Evaluation& e, double loss) const;
  void report(const Trainer::Step& step, double seconds);
  void say(const std::string& text);
  void say_memory();  // at the end. Collective
  bool due(std::int64_t every) const { return every > 0 && state_.step % every == 0; }

  const Task& task_;
  Config config_;
  RunSize size_;
  const World& world_;
  Placement placement_;
  MachineRates rates_;
  double estimated_step_seconds_, flops_per_step_;
  int fullest_ = 0;                // the rank that was planned the most memory
  std::size_t planned_bytes_ = 0;  // of that rank
  Device device_;
  Mesh mesh_;
  Trainer trainer_;
  std::unique_ptr<Sampler> sampler_;
  Saver saver_;
  State state_;
  std::optional<RunLog> log_;           // rank 0
  std::optional<MetricsFile> metrics_;  // rank 0
  double seconds_per_step_ = 0;         // smoothed
};

}  // namespace fusor
