#include "parallel/schedule_builder.h"

#include <algorithm>
#include <array>
#include <limits>
#include <optional>
#include <tuple>
#include <utility>

#include "runtime/error.h"

namespace fusor {
namespace {

bool is_split(ScheduleKind kind) {
  return kind == ScheduleKind::zero_bubble || kind == ScheduleKind::zero_bubble_v;
}

// What makes the kinds differ.
struct Policy {
  bool forwards_first = false;   // a rank begins no B before its last F
  bool in_turn = false;          // a rank waits for the F, or else the B, that is due
  int rounds = 1;                // parts of the micro-batches that a rank takes through its stages
  std::vector<int> stage_limit;  // most micro-batches between the start of F and the end of B
  std::vector<int> rank_limit;   // by rank, most held of all its stages
};

// What a rank holds, seen from the graph.
struct Share {
  int stages = 0;
  int depths = 0;                                 // summed over its stages
  int nearest = std::numeric_limits<int>::max();  // the smallest of them
};

std::vector<Share> shares_of(const std::vector<int>& depths, const Schedule& schedule) {
  std::vector<Share> shares(schedule.ranks.size());
  for (std::size_t stage = 0; stage < depths.size(); ++stage) {
    Share& share = shares[schedule.rank_of[stage]];
    ++share.stages;
    share.depths += depths[stage];
    share.nearest = std::min(share.nearest, depths[stage]);
  }
  return shares;
}

Policy policy_of(ScheduleKind kind, const StageGraph& graph, const Schedule& schedule) {
  const int ranks = schedule.num_ranks(), unlimited = schedule.micros * graph.size() + 1;
  const std::vector<Share> shares = shares_of(graph.depths(), schedule);
  Policy policy;
  policy.rounds = schedule.micros;
  policy.stage_limit = graph.depths();
  policy.rank_limit.assign(ranks, unlimited);
  if (kind == ScheduleKind::gpipe || kind == ScheduleKind::interleaved)
    policy.stage_limit.assign(graph.size(), unlimited);
  policy.forwards_first = kind == ScheduleKind::gpipe;
  if (kind == ScheduleKind::interleaved) {
    // Rounds of p micro-batches, and where that leaves some over, as evenly as it goes.
    policy.rounds = std::max(1, schedule.micros / ranks);
    const int round = (schedule.micros + policy.rounds - 1) / policy.rounds;
    policy.in_turn = true;
    std::ranges::transform(shares, policy.rank_limit.begin(), [round](const Share& share) {
      return 2 * (share.nearest - 1) + (share.stages - 1) * round + 1;
    });
  }
  if (is_split(kind)) {
    // What 1F1B holds on its fullest rank. Depths count the F at hand, and a rank has one at hand.
    int most = 0;
    for (const Share& share : shares) most = std::max(most, share.depths - (share.stages - 1));
    policy.rank_limit.assign(ranks, most);
  }
  return policy;
}

class ListScheduler {
 public:
  ListScheduler(const StageGraph& graph, Policy policy, Schedule& schedule)
      : graph_(graph),
        readers_(graph.readers()),
        policy_(std::move(policy)),
        schedule_(schedule),
        stages_(graph.size()),
        ranks_(schedule.ranks.size()) {
    for (int stage = 0; stage < graph.size(); ++stage) {
      Rank& rank = ranks_[schedule.rank_of[stage]];
      rank.stages.push_back(stage);
      rank.forwards_left += schedule.micros;
      for (auto& ends : stages_[stage].ends) ends.assign(schedule.micros, kNever);
    }
  }

  void run();

 private:
  static constexpr int kNever = std::numeric_limits<int>::max();
  struct Stage {
    std::array<std::vector<int>, 3> ends;  // by phase and micro-batch: when it is done
    std::array<int, 3> next{};             // by phase: the micro-batch that is due
  };
  struct Rank {
    std::vector<int> stages;
    int free_at = 0;
    int held = 0;
    int forwards_left = 0;
  };

  int end(Phase phase, int stage, int micro) const {
    return stages_[stage].ends[static_cast<std::size_t>(phase)][micro];
  }
  bool ready(const Entry&) const;
  bool allowed(const Rank&, const Entry&) const;
  // What a free rank computes now; none where it waits.
  std::optional<Entry> choose(const Rank&, bool within_limits) const;
  void begin(int rank, const Entry&);
  bool begin_all();      // whatever free ranks choose; false where that is nothing
  void exceed_limits();  // all wait because of limits: begins the earliest entry that can be
  Phase last_phase() const { return schedule_.split ? Phase::weight : Phase::backward; }
  // What a rank prefers: F (as far as limits go) before B before W, the earlier group of
  // micro-batches, the stage nearer to the end of the pass, the earlier micro-batch.
  auto preference(const Entry& e) const {
    const int stage = e.phase == Phase::forward ? e.stage : -e.stage;
    return std::tuple(e.phase, e.micro * policy_.rounds / schedule_.micros, stage, e.micro);
  }

  const StageGraph& graph_;
  std::vector<std::vector<int>> readers_;
  Policy policy_;
  Schedule& schedule_;
  std::vector<Stage> stages_;
  std::vector<Rank> ranks_;
  int now_ = 0;
  int left_ = 0;  // entries not begun
};

bool ListScheduler::ready(const Entry& e) const {
  if (e.micro >= schedule_.micros) return false;
  const auto done = [&](Phase phase) {
    return [this, phase, micro = e.micro](int stage) { return end(phase, stage, micro) <= now_; };
  };
  if (e.phase == Phase::forward) return std::ranges::all_of(graph_.inputs[e.stage], done(e.phase));
  if (e.phase == Phase::weight) return done(Phase::backward)(e.stage);
  return done(Phase::forward)(e.stage) && std::ranges::all_of(readers_[e.stage], done(e.phase));
}

bool ListScheduler::allowed(const Rank& rank, const Entry& e) const {
  if (e.phase == Phase::weight) return true;
  const auto& next = stages_[e.stage].next;
  const bool full = rank.held >= policy_.rank_limit[schedule_.rank_of[e.stage]];
  if (e.phase == Phase::backward && rank.forwards_left > 0 &&
      (policy_.forwards_first || (policy_.in_turn && !full)))
    return false;
  if (e.phase == Phase::forward && (full || next[0] - next[1] >= policy_.stage_limit[e.stage]))
    return false;
  const auto is_due_before = [&](int stage) {
    const Entry other{e.phase, stage, stages_[stage].next[static_cast<std::size_t>(e.phase)]};
    return other.micro < schedule_.micros && preference(other) < preference(e);
  };
  return !policy_.in_turn || !std::ranges::any_of(rank.stages, is_due_before);
}

std::optional<Entry> ListScheduler::choose(const Rank& rank, bool within_limits) const {
  std::optional<Entry> best;
  for (int stage : rank.stages)
    for (Phase phase : {Phase::forward, Phase::backward, Phase::weight}) {
      if (phase > last_phase()) continue;
      const Entry e{phase, stage, stages_[stage].next[static_cast<std::size_t>(phase)]};
      if (!ready(e) || (within_limits && !allowed(rank, e))) continue;
      if (!best || preference(e) < preference(*best)) best = e;
    }
  return best;
}

void ListScheduler::begin(int rank, const Entry& e) {
  Rank& self = ranks_[rank];
  const std::size_t phase = static_cast<std::size_t>(e.phase);
  schedule_.ranks[rank].push_back(e);
  self.free_at = now_ + (e.phase == Phase::backward && !schedule_.split ? 2 : 1);
  stages_[e.stage].ends[phase][e.micro] = self.free_at;
  ++stages_[e.stage].next[phase];
  self.held += (e.phase == Phase::forward) - (e.phase == last_phase());
  self.forwards_left -= e.phase == Phase::forward;
  --left_;
}

bool ListScheduler::begin_all() {
  bool begun = false;
  for (int rank = 0; rank < schedule_.num_ranks(); ++rank) {
    if (ranks_[rank].free_at > now_) continue;
    if (const auto e = choose(ranks_[rank], /*within_limits=*/true)) {
      begin(rank, *e);
      begun = true;
    }
  }
  return begun;
}

void ListScheduler::exceed_limits() {
  std::optional<Entry> first;
  for (const Rank& rank : ranks_) {
    const auto e = choose(rank, /*within_limits=*/false);
    if (e && (!first || std::pair(e->micro, e->stage) < std::pair(first->micro, first->stage)))
      first = e;
  }
  begin(schedule_.rank_of[first->stage], *first);
}

void ListScheduler::run() {
  const int phases = schedule_.split ? 3 : 2;
  for (left_ = phases * graph_.size() * schedule_.micros; left_ > 0; ++now_) {
    const bool busy = std::ranges::any_of(ranks_, [&](const Rank& r) { return r.free_at > now_; });
    if (!begin_all() && !busy) exceed_limits();
  }
}

void check_placement(ScheduleKind kind, const std::vector<int>& rank_of, int ranks, int micros) {
  require(ranks > 0 && micros > 0, "a schedule of ", ranks, " ranks and ", micros,
          " micro-batches");
  std::vector<int> stages(ranks);
  for (int rank : rank_of) {
    require(0 <= rank && rank < ranks, "a stage on rank ", rank, " of ", ranks);
    ++stages[rank];
  }
  for (int rank = 0; rank < ranks; ++rank)
    require(stages[rank] > 0, name_of(kind), ": rank ", rank, " of ", ranks, " holds no stage");
}

}  // namespace

std::string_view name_of(ScheduleKind kind) {
  return kScheduleNames[static_cast<std::size_t>(kind)];
}

std::vector<int> place_stages(ScheduleKind kind, int stages, int ranks) {
  require(ranks > 0 && stages >= ranks && stages % ranks == 0, stages,
          " stages do not split evenly over ", ranks, " pipeline ranks");
  const int each = stages / ranks;
  const bool single = kind == ScheduleKind::one_f_one_b || kind == ScheduleKind::zero_bubble;
  const bool fits = single                                ? each == 1
                    : kind == ScheduleKind::interleaved   ? each > 1
                    : kind == ScheduleKind::zero_bubble_v ? each == 2
                                                          : true;
  require(fits, "parallel.schedule ", name_of(kind), " takes parallel.stages ",
          single                              ? "1"
          : kind == ScheduleKind::interleaved ? "2 or more"
                                              : "2",
          " on each rank, not ", each);
  std::vector<int> rank_of(stages);
  for (int stage = 0; stage < stages; ++stage)
    rank_of[stage] =
        kind == ScheduleKind::zero_bubble_v && stage >= ranks ? stages - 1 - stage : stage % ranks;
  return rank_of;
}

Schedule make_schedule(ScheduleKind kind, const StageGraph& graph, const std::vector<int>& rank_of,
                       int ranks, int micros) {
  check_placement(kind, rank_of, ranks, micros);
  Schedule schedule{micros, is_split(kind), rank_of, std::vector<std::vector<Entry>>(ranks)};
  check_graph(schedule, graph);
  ListScheduler(graph, policy_of(kind, graph, schedule), schedule).run();
  return schedule;
}

Schedule make_schedule(ScheduleKind kind, const StageGraph& graph, int ranks, int micros) {
  return make_schedule(kind, graph, place_stages(kind, graph.size(), ranks), ranks, micros);
}

}  // namespace fusor
