#include "parallel/schedule_timeline.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "runtime/error.h"

namespace fusor {
namespace {

void check_costs(const StageCosts& costs, const Schedule& schedule, const StageGraph& graph) {
  const std::size_t stages = schedule.rank_of.size();
  require(costs.forward.size() == stages && costs.backward.size() == stages &&
              (!schedule.split || costs.weight.size() == stages) &&
              (costs.transfer.empty() || costs.transfer.size() == stages),
          "costs of another number of stages than ", stages);
  for (std::size_t stage = 0; stage < costs.transfer.size(); ++stage)
    require(costs.transfer[stage].size() == graph.inputs[stage].size(), "stage ", stage, " reads ",
            graph.inputs[stage].size(), " stages, but has the costs of ",
            costs.transfer[stage].size(), " transfers");
}

class Player {
 public:
  Player(const Schedule& schedule, const StageGraph& graph, const StageCosts& costs)
      : schedule_(schedule), graph_(graph), costs_(costs), ends_(schedule.rank_of.size()) {
    readers_.resize(graph.inputs.size());
    for (int stage = 0; stage < graph.size(); ++stage)
      for (std::size_t i = 0; i < graph.inputs[stage].size(); ++i)
        readers_[graph.inputs[stage][i]].push_back({stage, transfer(stage, i)});
    for (auto& ends : ends_)
      for (auto& phase : ends) phase.reserve(schedule.micros);
  }

  Timeline run();

 private:
  struct Edge {
    int stage;
    double transfer;
  };

  double transfer(int stage, std::size_t input) const {
    const int source = graph_.inputs[stage][input];
    return costs_.transfer.empty() || schedule_.rank_of[stage] == schedule_.rank_of[source]
               ? 0
               : costs_.transfer[stage][input];
  }
  double cost(const Entry& e) const {
    return e.phase == Phase::forward    ? costs_.forward[e.stage]
           : e.phase == Phase::backward ? costs_.backward[e.stage]
                                        : costs_.weight[e.stage];
  }
  // Moves `when` to where the entry's end has been seen after `delay`; false if it has not ended.
  bool after(Phase phase, int stage, int micro, double delay, double& when) const {
    const auto& ends = ends_[stage][static_cast<std::size_t>(phase)];
    if (static_cast<int>(ends.size()) <= micro) return false;
    when = std::max(when, ends[micro] + delay);
    return true;
  }
  bool arrived(const Entry& e, double& when) const;

  const Schedule& schedule_;
  const StageGraph& graph_;
  const StageCosts& costs_;
  std::vector<std::vector<Edge>> readers_;
  std::vector<std::array<std::vector<double>, 3>> ends_;  // [stages][phases][micros done]
};

bool Player::arrived(const Entry& e, double& when) const {
  if (e.phase == Phase::weight) return after(Phase::backward, e.stage, e.micro, 0, when);
  if (e.phase == Phase::backward) {
    if (!after(Phase::forward, e.stage, e.micro, 0, when)) return false;
    return std::ranges::all_of(readers_[e.stage], [&](const Edge& reader) {
      return after(e.phase, reader.stage, e.micro, reader.transfer, when);
    });
  }
  for (std::size_t i = 0; i < graph_.inputs[e.stage].size(); ++i)
    if (!after(e.phase, graph_.inputs[e.stage][i], e.micro, transfer(e.stage, i), when))
      return false;
  return true;
}

Timeline Player::run() {
  Timeline line;
  line.spans.resize(schedule_.ranks.size());
  for (bool moved = true; moved;) {
    moved = false;
    for (std::size_t rank = 0; rank < line.spans.size(); ++rank)
      for (auto& spans = line.spans[rank]; spans.size() < schedule_.ranks[rank].size();) {
        const Entry& e = schedule_.ranks[rank][spans.size()];
        double begin = spans.empty() ? 0 : spans.back().end;
        if (!arrived(e, begin)) break;
        spans.push_back({begin, begin + cost(e)});
        ends_[e.stage][static_cast<std::size_t>(e.phase)].push_back(spans.back().end);
        line.makespan = std::max(line.makespan, spans.back().end);
        moved = true;
      }
  }
  return line;
}

int most_held(const Schedule& schedule, int rank) {
  const Phase last = schedule.split ? Phase::weight : Phase::backward;
  int held = 0, most = 0;
  for (const Entry& e : schedule.ranks[rank]) {
    most = std::max(most, held += e.phase == Phase::forward);
    held -= e.phase == last;
  }
  return most;
}

}  // namespace

StageCosts StageCosts::unit(const Schedule& schedule) {
  const std::vector<double> one(schedule.rank_of.size(), 1.0);
  return {one, std::vector<double>(one.size(), schedule.split ? 1.0 : 2.0), one};
}

Timeline timeline_of(const Schedule& schedule, const StageGraph& graph, const StageCosts& costs) {
  check(schedule, graph);
  check_costs(costs, schedule, graph);
  Timeline line = Player(schedule, graph, costs).run();
  for (int rank = 0; rank < schedule.num_ranks(); ++rank) {
    double busy = 0;
    for (const Interval& span : line.spans[rank]) busy += span.end - span.begin;
    line.bubble.push_back(line.makespan > 0 ? 1 - busy / line.makespan : 0);
    line.held_by_rank.push_back(most_held(schedule, rank));
  }
  for (int stage = 0; stage < schedule.num_stages(); ++stage)
    line.held.push_back(num_lanes(schedule, stage));
  return line;
}

std::string to_grid(const Schedule& schedule, const StageGraph& graph) {
  const Timeline line = timeline_of(schedule, graph, StageCosts::unit(schedule));
  const bool one_each = schedule.num_stages() == schedule.num_ranks();
  const auto label = [&](const Entry& e) {
    return one_each ? letter_of(e.phase) + std::to_string(e.micro) : name_of(e);
  };
  std::size_t width = 0;
  for (const auto& entries : schedule.ranks)
    for (const Entry& e : entries) width = std::max(width, label(e).size() + 1);
  const auto padded = [](std::string text, std::size_t size) {
    text.resize(std::max(size, text.size()), ' ');
    return text;
  };
  const std::size_t head =
      padded("rank ", 0).size() + std::to_string(schedule.num_ranks()).size() + 2;
  std::string text;
  for (int rank = 0; rank < schedule.num_ranks(); ++rank) {
    std::vector<std::string> cells(static_cast<std::size_t>(std::lround(line.makespan)), ".");
    for (std::size_t i = 0; i < line.spans[rank].size(); ++i)
      for (auto t = std::lround(line.spans[rank][i].begin);
           t < std::lround(line.spans[rank][i].end); ++t)
        cells[t] = label(schedule.ranks[rank][i]);
    std::string row = padded("rank " + std::to_string(rank), head);
    for (const std::string& cell : cells) row += padded(cell, width);
    row.erase(row.find_last_not_of(' ') + 1);
    text += row + '\n';
  }
  return text;
}

}  // namespace fusor
