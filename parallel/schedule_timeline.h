#pragma once
#include <string>
#include <vector>

#include "parallel/schedule.h"

namespace fusor {

// What the parts of a schedule take, in seconds or any other unit.
struct StageCosts {
  std::vector<double> forward, backward,
      weight;  // [stages]; weight is not read where W is no entry
  // [stages][inputs]: an activation on its way to a stage on another rank, or its gradient on the
  // way back. Empty: nothing.
  std::vector<std::vector<double>> transfer{};

  // F, B and W one unit each; two for a B that is not split; transfers take nothing.
  static StageCosts unit(const Schedule&);
};

struct Interval {
  double begin, end;
};

struct Timeline {
  std::vector<std::vector<Interval>> spans;  // [ranks][entries]
  double makespan = 0;
  std::vector<double> bubble;  // [ranks]: the share of the makespan in which a rank waits
  std::vector<int> held;       // [stages]: num_lanes
  std::vector<int>
      held_by_rank;  // [ranks]: most micro-batches at once, summed over a rank's stages
};

// Plays a schedule: an entry begins when its rank has ended the one before and what it waits for
// has arrived. Transfers overlap with everything. Throws Error where check() does, and where costs
// are not those of the stages.
Timeline timeline_of(const Schedule&, const StageGraph&, const StageCosts&);

// The schedule in unit time, a line a rank, for people:
//   rank 0  F0 F1 .  .  B0 B0 .  B1 B1
// Entries are named "F0" by micro-batch, or "F2.0" where a rank holds several stages.
std::string to_grid(const Schedule&, const StageGraph&);

}  // namespace fusor
