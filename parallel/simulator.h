#pragma once
#include <iosfwd>
#include <string>
#include <vector>

#include "parallel/cost_model.h"
#include "parallel/play.h"

namespace fusor {

// The clock of a cluster: what the engine asks, the cost model answers.
class ClusterClock final : public Clock {
 public:
  explicit ClusterClock(const CostModel& model) : model_(model) {}
  double op_seconds(const OpEvent& op) override { return model_.seconds(op); }
  double issue_seconds(const TraceEvent&) override;
  double comm_seconds(const CommEvent& event, std::span<const int> ranks) override;
  std::uint64_t likeness(std::span<const int> ranks) override;

 private:
  const CostModel& model_;
};

// What a step is for, over all ranks.
struct StepWork {
  double tokens = 0;
  double flops = 0;  // of the model, without what is computed again
};

// Where the ranks' time goes, as shares of it; they add up to 1.
struct StepReport {
  struct Comm {
    std::string what;    // "all_reduce over data"
    double exposed = 0;  // share of the ranks' time
    double hidden = 0;   // share of its own time in transit that ranks compute meanwhile
    double bytes = 0;    // of a rank's operands, of the rank with most
  };
  double seconds = 0;
  StepWork work;
  double peak = 0;            // flop/s of all ranks together
  double compute = 0;         // in operators
  double launch = 0;          // waiting for the host to issue the next operator
  double bubble = 0;          // waiting for another stage, or done before it
  double skew = 0;            // waiting for a partner in a collective
  std::vector<Comm> comms{};  // waiting for bytes in transit; largest first

  double tokens_per_second() const { return work.tokens / seconds; }
  // Model flops utilisation: work.flops / (seconds x peak) (Chowdhery et al., "PaLM", 2022,
  // appendix B).
  double mfu() const { return work.flops / (seconds * peak); }
};

// Reads a report off a play of one step.
StepReport report(const Played& played, const StepWork& work, double peak);

// Plays one step of the job. Throws Error where play() does.
StepReport simulate(const Job& job, const CostModel& model, const StepWork& work);

std::ostream& operator<<(std::ostream&, const StepReport&);

}  // namespace fusor
