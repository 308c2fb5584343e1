#include "parallel/schedule.h"

#include <algorithm>
#include <array>

#include "runtime/error.h"

namespace fusor {
namespace {

// What a check has seen: by stage and phase, how many micro-batches are done.
class Progress {
 public:
  Progress(const Schedule& schedule, const StageGraph& graph)
      : graph_(graph), readers_(graph.readers()), done_(schedule.rank_of.size()) {}

  int& done(int stage, Phase phase) { return done_[stage][static_cast<std::size_t>(phase)]; }

  // An entry this one waits for that is not done yet; null when it can run.
  const Entry* missing(const Entry& e) {
    const auto lacks = [&](int stage, Phase phase) {
      missing_ = {phase, stage, e.micro};
      return done(stage, phase) <= e.micro;
    };
    const auto any_lacks = [&](const std::vector<int>& stages) {
      return std::ranges::any_of(stages, [&](int stage) { return lacks(stage, e.phase); });
    };
    if (e.phase == Phase::forward) return any_lacks(graph_.inputs[e.stage]) ? &missing_ : nullptr;
    if (e.phase == Phase::weight) return lacks(e.stage, Phase::backward) ? &missing_ : nullptr;
    return lacks(e.stage, Phase::forward) || any_lacks(readers_[e.stage]) ? &missing_ : nullptr;
  }

 private:
  const StageGraph& graph_;
  std::vector<std::vector<int>> readers_;
  std::vector<std::array<int, 3>> done_;
  Entry missing_{};
};

// Each entry once, on its rank, micro-batches in ascending order.
void check_entries(const Schedule& schedule) {
  std::vector<std::array<int, 3>> next(schedule.rank_of.size());
  for (int rank = 0; rank < schedule.num_ranks(); ++rank)
    for (const Entry& e : schedule.ranks[rank]) {
      require(0 <= e.stage && e.stage < schedule.num_stages() && 0 <= e.micro &&
                  e.micro < schedule.micros && (schedule.split || e.phase != Phase::weight),
              "rank ", rank, " has ", name_of(e), " in a schedule of ", schedule.num_stages(),
              " stages and ", schedule.micros, " micro-batches",
              schedule.split ? "" : " whose backward is not split");
      require(schedule.rank_of[e.stage] == rank, name_of(e), " stands on rank ", rank,
              ", but stage ", e.stage, " lies on rank ", schedule.rank_of[e.stage]);
      int& micro = next[e.stage][static_cast<std::size_t>(e.phase)];
      require(e.micro >= micro, "rank ", rank, " has ", name_of(e), " twice, or after ",
              name_of({e.phase, e.stage, micro - 1}));
      require(e.micro == micro, "rank ", rank, " has ", name_of(e), " where ",
              name_of({e.phase, e.stage, micro}), " is due: micro-batches come in order");
      ++micro;
    }
  for (int stage = 0; stage < schedule.num_stages(); ++stage)
    for (Phase phase : {Phase::forward, Phase::backward, Phase::weight}) {
      if (phase == Phase::weight && !schedule.split) continue;
      const int micro = next[stage][static_cast<std::size_t>(phase)];
      require(micro == schedule.micros, "rank ", schedule.rank_of[stage], " lacks ",
              name_of({phase, stage, micro}));
    }
}

// Lets every rank go as far as it can until all are through.
void check_order(const Schedule& schedule, const StageGraph& graph) {
  Progress progress(schedule, graph);
  std::vector<std::size_t> at(schedule.ranks.size());
  for (bool moved = true; moved;) {
    moved = false;
    for (std::size_t rank = 0; rank < at.size(); ++rank)
      for (const auto& entries = schedule.ranks[rank];
           at[rank] < entries.size() && !progress.missing(entries[at[rank]]); ++at[rank]) {
        ++progress.done(entries[at[rank]].stage, entries[at[rank]].phase);
        moved = true;
      }
  }
  for (std::size_t rank = 0; rank < at.size(); ++rank) {
    if (at[rank] == schedule.ranks[rank].size()) continue;
    const Entry& stuck = schedule.ranks[rank][at[rank]];
    const Entry& missing = *progress.missing(stuck);
    raise("rank " + std::to_string(rank) + " would wait for ever at " + name_of(stuck) + " for " +
          name_of(missing) + " of rank " + std::to_string(schedule.rank_of[missing.stage]));
  }
}

}  // namespace

StageGraph StageGraph::chain(int stages) {
  StageGraph graph;
  for (int stage = 0; stage < stages; ++stage)
    graph.inputs.push_back(stage == 0 ? std::vector<int>{} : std::vector<int>{stage - 1});
  return graph;
}

std::vector<std::vector<int>> StageGraph::readers() const {
  std::vector<std::vector<int>> readers(inputs.size());
  for (int stage = 0; stage < size(); ++stage)
    for (int input : inputs[stage]) readers.at(input).push_back(stage);
  return readers;
}

std::vector<int> StageGraph::depths() const {
  std::vector<int> depths(inputs.size(), 1);
  for (int stage = size() - 1; stage >= 0; --stage)
    for (int input : inputs[stage])
      depths.at(input) = std::max(depths.at(input), depths[stage] + 1);
  return depths;
}

void check_graph(const Schedule& schedule, const StageGraph& graph) {
  require(schedule.num_stages() == graph.size(), "a schedule of ", schedule.num_stages(),
          " stages for a model of ", graph.size());
  for (int stage = 0; stage < graph.size(); ++stage) {
    const int rank = schedule.rank_of[stage];
    require(0 <= rank && rank < schedule.num_ranks(), "stage ", stage, " on rank ", rank, " of ",
            schedule.num_ranks());
    for (int last = -1; int input : graph.inputs[stage]) {
      require(last < input && input < stage, "stage ", stage, " reads stage ", input,
              "; the stages read come before it, each once, in ascending order");
      last = input;
    }
  }
}

void check(const Schedule& schedule, const StageGraph& graph) {
  check_graph(schedule, graph);
  check_entries(schedule);
  check_order(schedule, graph);
}

int num_lanes(const Schedule& schedule, int stage) {
  const Phase last = schedule.split ? Phase::weight : Phase::backward;
  int alive = 0, most = 0;
  for (const Entry& e : schedule.ranks.at(schedule.rank_of.at(stage))) {
    if (e.stage != stage) continue;
    if (e.phase == Phase::forward) most = std::max(most, ++alive);
    if (e.phase == last) --alive;
  }
  return most;
}

}  // namespace fusor
