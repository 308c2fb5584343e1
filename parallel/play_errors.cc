#include <algorithm>
#include <sstream>

#include "parallel/play_state.h"
#include "runtime/error.h"

namespace fusor {
namespace {

std::string rank_text(const PlayState& state, int rank) {
  const int alike = state.actor_of(rank).played.num_ranks - 1;
  std::string text = "rank " + std::to_string(rank);
  if (alike > 0) text += " (and " + std::to_string(alike) + " like it)";
  return text;
}

std::string call_text(const Actor& actor, const CompiledScript::Call& call, int program,
                      int micro) {
  return describe(*call.event) +
         where(actor.script->script->programs[static_cast<std::size_t>(program)], micro);
}

// Whom a call waits for: a rank that has not come, and its seat on the line.
struct Absent {
  int rank;
  Actor::Seat seat;
};
std::vector<Absent> missing(const PlayState& state, int rank, const Flight& flight) {
  const CompiledScript::Call& call = *flight.call;
  const std::vector<int>& ranks = state.index.members(call.communicator, rank);
  const Actor& actor = state.actor_of(rank);
  const auto i = static_cast<std::size_t>(&call - actor.script->calls.data());
  const auto [number, seat] = actor.seats[i];
  if (is_transfer(call.event->kind)) {
    const int at = state.index.place(call.communicator, rank) + call.offset;
    return {{ranks[static_cast<std::size_t>(at) % ranks.size()], {number, 1 - seat}}};
  }
  const Line& line = state.lines[static_cast<std::size_t>(number)];
  std::vector<Absent> absent;
  for (const int other : ranks) {
    const auto at =
        std::ranges::find(line.colors, state.actor_of(other).color) - line.colors.begin();
    if (line.arrived[static_cast<std::size_t>(at)] <= flight.number)
      absent.push_back({other, {number, static_cast<int>(at)}});
  }
  return absent;
}

// How often a rank comes to a seat in the whole job.
std::uint64_t visits(const PlayState& state, const Absent& who) {
  const Actor& actor = state.actor_of(who.rank);
  std::uint64_t count = 0;
  for (const ProgramRun& run : actor.script->script->runs)
    for (const auto& step : actor.script->programs[static_cast<std::size_t>(run.program)]) {
      if (step.kind != CompiledScript::Step::Kind::call) continue;
      const auto [line, seat] = actor.seats[step.index];
      count += line == who.seat.line && seat == who.seat.seat;
    }
  return count;
}

std::string part_of(const CommEvent& e) {
  if (e.kind == CommKind::send) return "receives it";
  return e.kind == CommKind::recv ? "sends it" : "makes this call";
}

std::string waiting_text(const PlayState& state, int rank) {
  const Actor& actor = state.actor_of(rank);
  const Flight& f = *actor.blocked;
  return rank_text(state, rank) + " waits in " + call_text(actor, *f.call, f.program, f.micro) +
         " over " + f.call->event->group;
}

// Throws where a blocked rank waits for what another will not do at all.
void require_partners(const PlayState& state) {
  for (const Actor& actor : state.actors) {
    if (actor.ended()) continue;
    for (const Absent& other : missing(state, actor.rank, *actor.blocked))
      if (visits(state, other) <= actor.blocked->number)
        raise(waiting_text(state, actor.rank) + " for ever: " + rank_text(state, other.rank) +
              " never " + part_of(*actor.blocked->call->event));
  }
}

}  // namespace

const char* difference(const Arrival& a, const Arrival& b) {
  const CommEvent &x = *a.call->event, &y = *b.call->event;
  const bool transfer = is_transfer(x.kind);
  if (!transfer && x.kind != y.kind) return "operation";
  if (x.name != y.name || (!transfer && x.scope != y.scope)) return "name";
  if (a.micro != b.micro) return "micro-batch";
  if (x.dtype != y.dtype) return "dtype";
  if (x.count != y.count) return "size";
  if (!transfer && x.op != y.op) return "reduction";
  if (!transfer && x.peer != y.peer) return "root";
  return nullptr;
}

void raise_difference(const PlayState& state, const Arrival& a, const Arrival& b) {
  // Their own ranks need not be in one group: take the partner from the group of a's.
  const CommEvent& event = *a.call->event;
  const std::vector<int>& ranks = state.index.members(a.call->communicator, a.actor->rank);
  const int at = state.index.place(a.call->communicator, a.actor->rank) + a.call->offset;
  const auto other = is_transfer(event.kind) ? ranks.begin() + at % static_cast<int>(ranks.size())
                                             : std::ranges::find(ranks, b.actor->color, [&](int r) {
                                                 return state.actor_of(r).color;
                                               });
  std::ostringstream text;
  text << "ranks " << a.actor->rank << " and " << *other << " do not agree over " << event.group
       << " in the " << difference(a, b) << ": " << rank_text(state, a.actor->rank) << " calls "
       << call_text(*a.actor, *a.call, a.program, a.micro) << ", where " << rank_text(state, *other)
       << " calls " << call_text(*b.actor, *b.call, b.program, b.micro);
  raise(text.str());
}

void raise_begun_twice(const Actor& actor, const CompiledScript::Call& call, int program,
                       int micro) {
  raise("rank " + std::to_string(actor.rank) + " begins " + call_text(actor, call, program, micro) +
        " over " + call.event->group + " again before it has waited for the first");
}

void raise_not_begun(const Actor& actor, std::uint64_t id, int program, int micro) {
  std::string what = "call " + std::to_string(id);
  for (const TraceProgram& other : actor.script->script->programs)
    for (const TraceEvent& event : other.events)
      if (const auto* call = std::get_if<CommEvent>(&event); call && call->id == id)
        what = describe(*call) + where(other, -1) + " over " + call->group;
  raise("rank " + std::to_string(actor.rank) + " waits" +
        where(actor.script->script->programs[static_cast<std::size_t>(program)], micro) + " for " +
        what + ", which it has not begun, or has waited for already");
}

void raise_stuck(const PlayState& state, bool buffering_helps) {
  require_partners(state);
  std::vector<int> chain = {std::ranges::find_if_not(state.actors, &Actor::ended)->rank};
  auto begin = chain.end();
  for (;;) {
    const Actor& actor = state.actor_of(chain.back());
    const int next = missing(state, chain.back(), *actor.blocked).front().rank;
    begin = std::ranges::find(chain, next);
    if (begin != chain.end()) break;
    chain.push_back(next);
  }
  chain.erase(chain.begin(), begin);
  constexpr std::size_t kShown = 8;
  std::string text = "ranks wait for each other in a cycle: ";
  for (std::size_t i = 0; i < chain.size() && i < kShown; ++i)
    text += (i ? "; " : "") + waiting_text(state, chain[i]) + " for rank " +
            std::to_string(chain[(i + 1) % chain.size()]);
  if (chain.size() > kShown) text += "; and so on, over " + std::to_string(chain.size()) + " ranks";
  if (buffering_helps) text += " (it would go on only where sends are buffered)";
  raise(text);
}

void require_all_met(const PlayState& state) {
  for (const Actor& actor : state.actors)
    for (const auto& [key, f] : actor.flights) {
      const std::string call =
          call_text(actor, *f.call, f.program, f.micro) + " over " + f.call->event->group;
      if (!f.done)
        raise(rank_text(state, actor.rank) + " begins " + call + ", but " +
              rank_text(state, missing(state, actor.rank, f).front().rank) + " never " +
              part_of(*f.call->event));
      raise(rank_text(state, actor.rank) + " begins " + call + " and never waits for it");
    }
}

}  // namespace fusor
