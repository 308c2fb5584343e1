#include "parallel/pipeline_actions.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <map>
#include <utility>

namespace fusor {
namespace {

struct Message {
  Phase phase;
  int source, target;  // stages, in the direction of travel
  int micro;
  std::size_t post;  // the index, on the receiving rank, of the entry ahead of which it is posted
  bool sent = false;
};

// Whether the buffer of a send must be free before the entry begins.
bool ends_buffer(const Entry& e, const Action& send) {
  return e.phase == Phase::backward && e.stage == send.stage &&
         (send.phase == Phase::backward || e.micro == send.micro);
}

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
  std::vector<std::vector<std::size_t>> posts(int rank) const;  // [entry]: messages

  const Schedule& schedule_;
  const StageGraph& graph_;
  std::vector<std::vector<int>> readers_;
  std::vector<Message> messages_;  // each rank's in the order it sends them
  std::vector<std::vector<std::vector<std::size_t>>> out_, in_;  // [rank][entry]: messages
  std::vector<std::vector<std::size_t>> received_;  // [rank]: messages, each sender's in order

  // The play that looks for cycles: sends block until their receive is posted.
  struct At {
    std::size_t entry = 0;
    std::size_t sends = 0;  // of the entry's messages, those sent
    bool computed = false;
  };
  std::vector<At> at_;
};

void Plan::find_messages() {
  received_.resize(schedule_.ranks.size());
  std::vector<std::array<std::vector<std::size_t>, 3>> index(graph_.size());  // on its rank
  for (const auto& entries : schedule_.ranks) {
    out_.emplace_back(entries.size());
    in_.emplace_back(entries.size());
    for (std::size_t i = 0; i < entries.size(); ++i)  // micro-batches come in order
      index[entries[i].stage][static_cast<std::size_t>(entries[i].phase)].push_back(i);
  }
  for (std::size_t rank = 0; rank < out_.size(); ++rank)
    for (std::size_t i = 0; i < out_[rank].size(); ++i) {
      const Entry& e = schedule_.ranks[rank][i];
      for (int target : targets(e)) {
        const int to = schedule_.rank_of[target];
        if (to == static_cast<int>(rank)) continue;
        const std::size_t need = index[target][static_cast<std::size_t>(e.phase)][e.micro];
        out_[rank][i].push_back(messages_.size());
        in_[to][need].push_back(messages_.size());
        received_[to].push_back(messages_.size());
        messages_.push_back(
            {e.phase, e.stage, target, e.micro, need - std::min<std::size_t>(need, 1)});
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

std::vector<std::vector<std::size_t>> Plan::posts(int rank) const {
  std::vector<std::vector<std::size_t>> posts(schedule_.ranks[rank].size());
  for (std::size_t m : received_[rank]) posts[messages_[m].post].push_back(m);
  return posts;
}

std::vector<Action> Plan::actions(int rank) const {
  const auto& entries = schedule_.ranks[rank];
  const auto posts = this->posts(rank);
  std::vector<Action> actions, sending;
  const auto receive = [&](ActionKind kind, const std::vector<std::size_t>& messages) {
    for (std::size_t i : messages) {
      const Message& m = messages_[i];
      actions.push_back({kind, m.phase, m.target, m.micro, m.source, schedule_.rank_of[m.source]});
    }
  };
  const auto wait_sends = [&](auto&& due) {
    std::ranges::copy_if(sending, std::back_inserter(actions), due);
    std::erase_if(sending, due);
  };
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const Entry& e = entries[i];
    receive(ActionKind::post_receive, posts[i]);
    wait_sends([&](const Action& send) { return ends_buffer(e, send); });
    receive(ActionKind::wait_receive, in_[rank][i]);
    actions.push_back({ActionKind::compute, e.phase, e.stage, e.micro});
    for (std::size_t m : out_[rank][i]) {
      const int target = messages_[m].target, peer = schedule_.rank_of[target];
      actions.push_back({ActionKind::send, e.phase, e.stage, e.micro, target, peer});
      sending.push_back({ActionKind::wait_send, e.phase, e.stage, e.micro, target, peer});
    }
  }
  wait_sends([](const Action&) { return true; });
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
