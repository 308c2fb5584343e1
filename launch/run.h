#pragma once
#include <filesystem>
#include <optional>
#include <string>

#include "io/dataset.h"
#include "launch/placement.h"
#include "launch/rehearsal.h"
#include "launch/sampler.h"
#include "launch/saver.h"
#include "launch/trainer.h"
#include "models/gpt.h"
#include "runtime/metrics.h"
#include "runtime/run_log.h"
#include "runtime/world.h"

namespace fusor {

// A split of config.data.path. Throws Error when it is missing, broken, shorter than a sample, or
// has more token ids than the model.
Dataset open_split(const Config& config, const std::string& split);

// What the rank whose micro-batches of a step begin with first_micro reads of the training split.
LoaderConfig training_loader(const Config& config, const RunSize& size, std::int64_t first_micro,
                             std::int64_t start_step);

// The splits that a run reads.
struct RunData {
  Dataset train;
  std::optional<Dataset> val;  // where the recipe evaluates

  static RunData open(const Config& config);
};

// A training run from its first step, or from where a checkpoint left it, to its end. All that is
// on the disk lies in config.log.dir: recipe.ini, metrics.jsonl, run.log and checkpoints/.
class Run {
 public:
  // Collective. `rehearsal` is this rank's, for where it is placed.
  Run(const Config& config, const RunSize& size, const Placement& placement,
      const Rehearsal& rehearsal, RunData data, const World& world);
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
  bool evaluate();  // false: no gain for as long as the recipe's patience
  void report(const Trainer::Step& step, double seconds);
  void say(const std::string& text);
  void say_memory();  // at the end. Collective
  bool due(std::int64_t every) const { return every > 0 && state_.step % every == 0; }

  Config config_;
  RunSize size_;
  const World& world_;
  Placement placement_;
  RunData data_;
  MachineRates rates_;
  double estimated_step_seconds_;
  int fullest_ = 0;                // the rank that was planned the most memory
  std::size_t planned_bytes_ = 0;  // of that rank
  Device device_;
  Mesh mesh_;
  Gpt model_;
  Trainer trainer_;
  Sampler sampler_;
  Saver saver_;
  State state_;
  std::optional<RunLog> log_;           // rank 0
  std::optional<MetricsFile> metrics_;  // rank 0
  double seconds_per_step_ = 0;         // smoothed
};

}  // namespace fusor
