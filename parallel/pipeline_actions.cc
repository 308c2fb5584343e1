#include "parallel/pipeline_actions.h"

#include <algorithm>
#include <map>

namespace fusor {
namespace {

struct Message {
  Phase phase;
  int source, target;  // stages, in the direction of travel
  int micro;
  std::size_t need;  // the index, on the receiving rank, of the entry that needs it
  std::size_t post;  // the index of the entry ahead of which its receive is posted
  bool sent = false;
};

// Where messages are sent, needed and posted, rank by rank.
class Plan {
 public:
  Plan(const Schedule& schedule, const StageGraph& graph)
      : schedule_(schedule), graph_(graph), readers_(graph.readers()) {
    find_messages();
    post_in_order();
    break_cycles();
  }

  std::vector<Action> actions(int rank) const;

 private:
  // The stages that an entry sends to, wherever they lie.
  const std::vector<int>& targets(const Entry& e) const {
    static const std::vector<int> none;
    if (e.phase == Phase::weight) return none;
    return e.phase == Phase::forward ? readers_[e.stage] : graph_.inputs[e.stage];
  }
  int receiver(const Message& m) const { return schedule_.rank_of[m.target]; }

  void find_messages();
  void post_in_order();
  void break_cycles();
  bool advance(int rank);
  void post_earlier();

  const Schedule& schedule_;
  const StageGraph& graph_;
  std::vector<std::vector<int>> readers_;
  std::vector<Message> messages_;  // each rank's in the order it sends them
  std::vector<std::vector<std::vector<std::size_t>>> out_, in_;  // [rank][entry]: messages

  // The play that looks for cycles: sends block until their receive is posted.
  struct At {
    std::size_t entry = 0;
    std::size_t sends = 0;  // of the entry's messages, those sent
    bool computed = false;
  };
  std::vector<At> at_;
};

void Plan::find_messages() {
  std::map<std::tuple<Phase, int, int>, std::size_t> index;  // of an entry on its rank
  for (const auto& entries : schedule_.ranks) {
    out_.emplace_back(entries.size());
    in_.emplace_back(entries.size());
    for (std::size_t i = 0; i < entries.size(); ++i)
      index[{entries[i].phase, entries[i].stage, entries[i].micro}] = i;
  }
  for (std::size_t rank = 0; rank < out_.size(); ++rank)
    for (std::size_t i = 0; i < out_[rank].size(); ++i) {
      const Entry& e = schedule_.ranks[rank][i];
      for (int target : targets(e)) {
        const int to = schedule_.rank_of[target];
        if (to == static_cast<int>(rank)) continue;
        const std::size_t need = index.at({e.phase, target, e.micro});
        out_[rank][i].push_back(messages_.size());
        in_[to][need].push_back(messages_.size());
        messages_.push_back(
            {e.phase, e.stage, target, e.micro, need, need - std::min<std::size_t>(need, 1)});
      }
    }
}

// A receive is posted no later than those that its sender sends after it.
void Plan::post_in_order() {
  std::map<std::pair<int, int>, std::size_t> earliest;  // by sender and receiver
  for (auto m = messages_.rbegin(); m != messages_.rend(); ++m) {
    const std::pair channel(schedule_.rank_of[m->source], receiver(*m));
    const auto [later, first] = earliest.emplace(channel, m->post);
    later->second = m->post = std::min(m->post, later->second);
  }
}

// Takes one step on a rank; false where it waits or is through.
bool Plan::advance(int rank) {
  At& at = at_[rank];
  if (at.entry == out_[rank].size()) return false;
  if (!at.computed) {
    at.computed =
        std::ranges::all_of(in_[rank][at.entry], [&](std::size_t m) { return messages_[m].sent; });
    return at.computed;
  }
  const auto& out = out_[rank][at.entry];
  if (at.sends == out.size()) {
    at = {at.entry + 1};
    return true;
  }
  Message& m = messages_[out[at.sends]];
  if (m.post > at_[receiver(m)].entry) return false;
  m.sent = true;
  ++at.sends;
  return true;
}

// Every rank waits: the first that waits in a send is received where its receiver now stands.
void Plan::post_earlier() {
  for (std::size_t rank = 0; rank < at_.size(); ++rank) {
    const At& at = at_[rank];
    if (!at.computed) continue;
    Message& m = messages_[out_[rank][at.entry][at.sends]];
    m.post = at_[receiver(m)].entry;
    return;
  }
}

void Plan::break_cycles() {
  at_.resize(out_.size());
  const auto through = [&] {
    for (std::size_t rank = 0; rank < at_.size(); ++rank)
      if (at_[rank].entry != out_[rank].size()) return false;
    return true;
  };
  for (;;) {
    bool moved = false;
    for (int rank = 0; rank < schedule_.num_ranks(); ++rank)
      while (advance(rank)) moved = true;
    if (through()) return;
    if (!moved) post_earlier();
  }
}

std::vector<Action> Plan::actions(int rank) const {
  const auto& entries = schedule_.ranks[rank];
  std::vector<std::vector<Action>> posts(entries.size());
  for (const Message& m : messages_)
    if (receiver(m) == rank)
      posts[m.post].push_back({ActionKind::post_receive, m.phase, m.target, m.micro, m.source,
                               schedule_.rank_of[m.source]});
  std::vector<Action> actions, sending;
  // Waits for the sends whose buffers the entry ends, or for all.
  const auto wait_sends = [&](const Entry* before) {
    std::erase_if(sending, [&](const Action& send) {
      const bool due =
          !before || (before->phase == Phase::backward && before->stage == send.stage &&
                      (send.phase == Phase::backward || before->micro == send.micro));
      if (due) actions.push_back(send);
      return due;
    });
  };
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const Entry& e = entries[i];
    actions.insert(actions.end(), posts[i].begin(), posts[i].end());
    wait_sends(&e);
    for (std::size_t m : in_[rank][i])
      actions.push_back({ActionKind::wait_receive, e.phase, e.stage, e.micro, messages_[m].source,
                         schedule_.rank_of[messages_[m].source]});
    actions.push_back({ActionKind::compute, e.phase, e.stage, e.micro});
    for (std::size_t m : out_[rank][i]) {
      const int target = messages_[m].target;
      actions.push_back(
          {ActionKind::send, e.phase, e.stage, e.micro, target, receiver(messages_[m])});
      sending.push_back(actions.back());
      sending.back().kind = ActionKind::wait_send;
    }
  }
  wait_sends(nullptr);
  return actions;
}

}  // namespace

std::string name_of(const Action& a) {
  const std::string stage = std::to_string(a.stage), other = std::to_string(a.other);
  const bool out = a.kind == ActionKind::send || a.kind == ActionKind::wait_send;
  return std::string(1, letter_of(a.phase)) + "/stage " +
         (a.other < 0 ? stage
          : out       ? stage + " -> " + other
                      : other + " -> " + stage) +
         "/micro " + std::to_string(a.micro);
}

std::vector<std::vector<Action>> pipeline_actions(const Schedule& schedule,
                                                  const StageGraph& graph) {
  check(schedule, graph);
  const Plan plan(schedule, graph);
  std::vector<std::vector<Action>> actions;
  for (int rank = 0; rank < schedule.num_ranks(); ++rank) actions.push_back(plan.actions(rank));
  return actions;
}

}  // namespace fusor
