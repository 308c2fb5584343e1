#include <algorithm>
#include <compare>
#include <map>
#include <set>

#include "parallel/pipeline_actions.h"
#include "runtime/error.h"

namespace fusor {
namespace {

bool sends(const Action& a) {
  return a.kind == ActionKind::send || a.kind == ActionKind::wait_send;
}

std::string_view verb_of(ActionKind kind) {
  constexpr std::string_view kVerbs[] = {"compute", "post", "wait for", "send", "see the end of"};
  return kVerbs[static_cast<std::size_t>(kind)];
}

std::string describe(int rank, const Action& a) {
  return "rank " + std::to_string(rank) + " is to " + std::string(verb_of(a.kind)) + " " +
         name_of(a);
}

// A message from one rank to another, whichever side looks at it.
struct Message {
  Phase phase;
  int source, target, micro;
  explicit Message(const Action& a)
      : phase(a.phase),
        source(sends(a) ? a.stage : a.other),
        target(sends(a) ? a.other : a.stage),
        micro(a.micro) {}
  Message(Phase phase, int source, int target, int micro)
      : phase(phase), source(source), target(target), micro(micro) {}
  auto operator<=>(const Message&) const = default;
};

// What one rank sends to another: the n-th send meets the n-th receive, whatever they are called.
struct Channel {
  std::vector<const Action*> sends, receives;
  std::map<Message, std::size_t> sent, posted;
};

class Play {
 public:
  Play(const std::vector<std::vector<Action>>& actions, const Schedule& schedule,
       const StageGraph& graph, SendMode mode)
      : actions_(actions),
        schedule_(schedule),
        graph_(graph),
        readers_(graph.readers()),
        mode_(mode),
        ranks_(actions.size()) {}

  void run();

 private:
  struct Rank {
    std::size_t at = 0, computed = 0;
    std::set<Message> open;  // begun, not waited for yet
    std::set<Message> here;  // received, not computed with yet
  };

  Channel& channel(int rank, const Action& a) {
    return sends(a) ? channels_[{rank, a.peer}] : channels_[{a.peer, rank}];
  }
  bool step(int rank, const Action& a);  // false where it must wait
  void compute(int rank, const Action& a);
  bool send(int rank, const Action& a);
  void post(int rank, const Action& a);
  bool wait_receive(int rank, const Action& a);
  bool wait_send(int rank, const Action& a);
  void require_met(const Channel&, std::size_t n) const;
  void require_finished() const;

  const std::vector<std::vector<Action>>& actions_;
  const Schedule& schedule_;
  const StageGraph& graph_;
  std::vector<std::vector<int>> readers_;
  SendMode mode_;
  std::vector<Rank> ranks_;
  std::map<std::pair<int, int>, Channel> channels_;  // by sender and receiver
};

void Play::compute(int rank, const Action& a) {
  Rank& self = ranks_[rank];
  const auto& entries = schedule_.ranks[rank];
  require(
      self.computed < entries.size() && entries[self.computed] == Entry{a.phase, a.stage, a.micro},
      describe(rank, a), " where its schedule has ",
      self.computed < entries.size() ? name_of(entries[self.computed]) : "nothing more");
  ++self.computed;
  if (a.phase == Phase::weight) return;
  for (int source : a.phase == Phase::forward ? graph_.inputs[a.stage] : readers_[a.stage])
    require(schedule_.rank_of[source] == rank ||
                self.here.erase({a.phase, source, a.stage, a.micro}) == 1,
            describe(rank, a), " before it has received the value of stage ", source);
}

// Once both sides of the n-th message are known, they are the same.
void Play::require_met(const Channel& c, std::size_t n) const {
  if (n >= c.sends.size() || n >= c.receives.size()) return;
  const Action &out = *c.sends[n], &in = *c.receives[n];
  require(Message(out) == Message(in), "rank ", in.peer, " sends ", name_of(out), " to rank ",
          out.peer, ", which is ready to receive ", name_of(in));
}

bool Play::send(int rank, const Action& a) {
  Channel& c = channel(rank, a);
  const auto [sent, first] = c.sent.emplace(Message(a), c.sends.size());
  if (first) {
    c.sends.push_back(&a);
    ranks_[rank].open.insert(Message(a));
    require_met(c, sent->second);
  }
  require(c.sends[sent->second] == &a, describe(rank, a), " twice");
  return mode_ != SendMode::blocking || c.receives.size() > sent->second;
}

void Play::post(int rank, const Action& a) {
  Channel& c = channel(rank, a);
  require(c.posted.emplace(Message(a), c.receives.size()).second, describe(rank, a), " twice");
  ranks_[rank].open.insert(Message(a));
  c.receives.push_back(&a);
  require_met(c, c.receives.size() - 1);
}

bool Play::wait_receive(int rank, const Action& a) {
  Channel& c = channel(rank, a);
  const auto posted = c.posted.find(Message(a));
  require(posted != c.posted.end(), describe(rank, a), ", which it has not posted");
  if (c.sends.size() <= posted->second) return false;
  require(ranks_[rank].open.erase(Message(a)) == 1, describe(rank, a), " twice");
  ranks_[rank].here.insert(Message(a));
  return true;
}

bool Play::wait_send(int rank, const Action& a) {
  Channel& c = channel(rank, a);
  const auto sent = c.sent.find(Message(a));
  require(sent != c.sent.end(), describe(rank, a), ", which it has not sent");
  if (mode_ != SendMode::buffered && c.receives.size() <= sent->second) return false;
  require(ranks_[rank].open.erase(Message(a)) == 1, describe(rank, a), " twice");
  return true;
}

bool Play::step(int rank, const Action& a) {
  switch (a.kind) {
    case ActionKind::compute:
      compute(rank, a);
      return true;
    case ActionKind::post_receive:
      post(rank, a);
      return true;
    case ActionKind::wait_receive:
      return wait_receive(rank, a);
    case ActionKind::send:
      return send(rank, a);
    case ActionKind::wait_send:
      return wait_send(rank, a);
  }
  raise("unreachable");
}

void Play::require_finished() const {
  std::string stuck;
  for (std::size_t rank = 0; rank < ranks_.size(); ++rank)
    if (ranks_[rank].at < actions_[rank].size())
      stuck += (stuck.empty() ? "" : "; ") +
               describe(static_cast<int>(rank), actions_[rank][ranks_[rank].at]);
  require(stuck.empty(), "ranks would wait for ever: ", stuck);
  for (std::size_t rank = 0; rank < ranks_.size(); ++rank) {
    const auto& entries = schedule_.ranks[rank];
    require(ranks_[rank].computed == entries.size(), "rank ", rank, " never computes ",
            ranks_[rank].computed < entries.size() ? name_of(entries[ranks_[rank].computed]) : "");
    require(ranks_[rank].here.empty() && ranks_[rank].open.empty(), "rank ", rank,
            " ends with messages that it has not waited for");
  }
  for (const auto& [ends, c] : channels_)
    require(c.sends.size() == c.receives.size(), "rank ", ends.first, " sends ", c.sends.size(),
            " messages to rank ", ends.second, ", which receives ", c.receives.size());
}

void Play::run() {
  for (bool moved = true; moved;) {
    moved = false;
    for (std::size_t rank = 0; rank < ranks_.size(); ++rank)
      for (auto& at = ranks_[rank].at; at < actions_[rank].size(); ++at, moved = true)
        if (!step(static_cast<int>(rank), actions_[rank][at])) break;
  }
  require_finished();
}

}  // namespace

void check_actions(const std::vector<std::vector<Action>>& actions, const Schedule& schedule,
                   const StageGraph& graph, SendMode mode) {
  check(schedule, graph);
  require(actions.size() == schedule.ranks.size(), "actions of ", actions.size(),
          " ranks for a schedule of ", schedule.num_ranks());
  Play(actions, schedule, graph, mode).run();
}

}  // namespace fusor
