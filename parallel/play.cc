#include "parallel/play.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <tuple>

#include "parallel/play_state.h"
#include "runtime/error.h"

namespace fusor {
namespace {

using Step = CompiledScript::Step;

// Calls of different micro-batches share ids.
std::uint64_t key_of(int micro, std::uint64_t id) {
  return static_cast<std::uint64_t>(micro + 1) << 40 | id;
}

PlayState cast(const Job& job, Clock* clock, bool each_op) {
  const Likeness likeness =
      clock ? [clock](std::span<const int> ranks) { return clock->likeness(ranks); } : Likeness();
  PlayState state{job, JobIndex(job), color_ranks(job, likeness), {}, {}, {}};
  for (const Script& script : job.scripts)
    state.scripts.push_back(compile(script, state.index, clock, each_op));
  for (std::size_t c = 0; c < state.colors.first.size(); ++c) {
    const int rank = state.colors.first[c];
    const int script = job.script_of_rank[static_cast<std::size_t>(rank)];
    Actor& actor = state.actors.emplace_back();
    actor.script = &state.scripts[static_cast<std::size_t>(script)];
    actor.color = static_cast<int>(c);
    actor.rank = rank;
    actor.played.rank = rank;
    actor.played.num_ranks = state.colors.num_ranks[c];
    actor.costs.assign(actor.script->calls.size(), -1);
    for (const CompiledScript::Kind& kind : actor.script->kinds)
      actor.played.comms.push_back({.group = kind.group, .kind = kind.kind});
  }
  return state;
}

// Finds for every call of every actor the line where it meets its partners.
class Seating {
 public:
  explicit Seating(PlayState& state) : state_(state) {}

  void operator()() {
    for (Actor& actor : state_.actors) {
      std::map<std::tuple<int, bool, int>, Actor::Seat> known;  // by communicator, sends, offset
      for (const CompiledScript::Call& call : actor.script->calls) {
        const bool sends = call.event->kind == CommKind::send;
        const int offset = is_transfer(call.event->kind) ? call.offset : -1;
        const auto [at, fresh] = known.try_emplace({call.communicator, sends, offset});
        if (fresh) at->second = offset < 0 ? collective(actor, call) : transfer(actor, call);
        actor.seats.push_back(at->second);
      }
    }
  }

 private:
  int color_of(int rank) const { return state_.actor_of(rank).color; }

  int line(std::vector<int> key, std::vector<int> colors, std::size_t seats) {
    const auto [at, fresh] =
        lines_.try_emplace(std::move(key), static_cast<int>(state_.lines.size()));
    if (fresh) {
      Line& made = state_.lines.emplace_back();
      made.colors = std::move(colors);
      made.arrived.assign(seats, 0);
    }
    return at->second;
  }
  Actor::Seat collective(const Actor& actor, const CompiledScript::Call& call) {
    std::vector<int> colors;
    for (const int rank : state_.index.members(call.communicator, actor.rank))
      colors.push_back(color_of(rank));
    std::ranges::sort(colors);
    colors.erase(std::unique(colors.begin(), colors.end()), colors.end());
    const auto seat = std::ranges::find(colors, actor.color) - colors.begin();
    std::vector<int> key = {call.communicator, -1};
    key.insert(key.end(), colors.begin(), colors.end());
    const std::size_t seats = colors.size();
    return {line(std::move(key), std::move(colors), seats), static_cast<int>(seat)};
  }
  Actor::Seat transfer(const Actor& actor, const CompiledScript::Call& call) {
    const std::vector<int>& ranks = state_.index.members(call.communicator, actor.rank);
    const int size = static_cast<int>(ranks.size());
    const int mine = state_.index.place(call.communicator, actor.rank);
    if (call.event->kind == CommKind::send)
      return {line({call.communicator, call.offset, actor.color}, {}, 2), 0};
    const int sender = ranks[static_cast<std::size_t>((mine + call.offset) % size)];
    return {line({call.communicator, (size - call.offset) % size, color_of(sender)}, {}, 2), 1};
  }

  PlayState& state_;
  std::map<std::vector<int>, int> lines_;
};

class Player {
 public:
  Player(const Job& job, Clock* clock, bool timeline, bool buffered)
      : clock_(clock),
        timeline_(timeline),
        buffered_(buffered),
        state_(cast(job, clock, timeline)) {
    Seating{state_}();
  }

  // True when all ranks came to their end.
  bool run() {
    for (Actor& actor : state_.actors) ready_.push_back(&actor);
    while (!ready_.empty()) {
      Actor& actor = *ready_.back();
      ready_.pop_back();
      run(actor);
    }
    return std::ranges::all_of(state_.actors, &Actor::ended);
  }
  const PlayState& state() const { return state_; }

  Played result() {
    Played played;
    played.color_of_rank = state_.colors.of_rank;
    for (Actor& actor : state_.actors) {
      actor.played.seconds = actor.now;
      played.seconds = std::max(played.seconds, actor.now);
      played.ranks.push_back(std::move(actor.played));
    }
    return played;
  }

 private:
  // Goes on until the actor ends or has to wait.
  void run(Actor& actor) {
    const std::vector<ProgramRun>& runs = actor.script->script->runs;
    for (; actor.run < runs.size(); ++actor.run, actor.step = 0) {
      const auto& steps = actor.script->programs[static_cast<std::size_t>(runs[actor.run].program)];
      for (; actor.step < steps.size(); ++actor.step)
        if (!take(actor, runs[actor.run], steps[actor.step])) return;
    }
  }
  bool take(Actor& actor, const ProgramRun& run, const Step& step) {
    switch (step.kind) {
      case Step::Kind::compute:
        compute(actor, run, actor.script->computes[step.index]);
        return true;
      case Step::Kind::call:
        begin(actor, run, step.index);
        return true;
      case Step::Kind::wait:
        return wait(actor, run, step.index);
    }
    return true;
  }

  void compute(Actor& actor, const ProgramRun& run, const CompiledScript::Compute& c) {
    actor.host += c.issue;
    const double end = std::max(actor.now + c.seconds, actor.host);  // of the last of those merged
    record(actor, PlayedSpan::Kind::op, end - c.seconds, end, c.event, run);
    actor.played.launch += std::max(0.0, end - c.seconds - actor.now);
    actor.now = end;
    actor.played.compute += c.seconds;
  }

  void begin(Actor& actor, const ProgramRun& run, std::size_t i) {
    const CompiledScript::Call& call = actor.script->calls[i];
    const auto [line, seat] = actor.seats[i];
    Line& at = state_.lines[static_cast<std::size_t>(line)];
    const std::uint64_t number = at.arrived[static_cast<std::size_t>(seat)]++;
    const auto [flight, fresh] = actor.flights.try_emplace(
        key_of(run.micro, call.event->id), Flight{&call, run.program, run.micro, number});
    if (!fresh) raise_begun_twice(actor, call, run.program, run.micro);
    actor.host += call.issue;
    const double begun = std::max(actor.now, actor.host);
    Arrival arrival{&actor, &call, run.program, run.micro, begun, &flight->second};
    if (buffered_ && call.event->kind == CommKind::send) {
      flight->second.done = true;
      arrival.flight = nullptr;
    }
    arrive(at, static_cast<std::size_t>(seat), number, arrival);
  }
  void arrive(Line& line, std::size_t seat, std::uint64_t number, const Arrival& arrival) {
    const std::size_t i = number - line.first;
    while (line.open.size() <= i) line.open.emplace_back(line.arrived.size());
    std::vector<Arrival>& meeting = line.open[i];
    bool complete = true;
    for (std::size_t other = 0; other < meeting.size(); ++other) {
      if (other == seat) continue;
      if (!meeting[other].actor)
        complete = false;
      else if (difference(meeting[other], arrival))
        raise_difference(state_, meeting[other], arrival);
    }
    meeting[seat] = arrival;
    if (complete) meet(line);
  }
  // All have come to the first open meeting; those after it are incomplete still.
  void meet(Line& line) {
    const std::vector<Arrival> meeting = std::move(line.open.front());
    line.open.pop_front();
    ++line.first;
    double begin = line.free;
    for (const Arrival& a : meeting) begin = std::max(begin, a.begun);
    line.free = begin + seconds(meeting.front());
    for (const Arrival& a : meeting) complete(a, begin, line.free);
  }
  void complete(const Arrival& a, double begin, double end) {
    const CommEvent& event = *a.call->event;
    PlayedComm& comm = a.actor->played.comms[static_cast<std::size_t>(a.call->kind)];
    ++comm.calls;
    comm.bytes += static_cast<double>(event.count) * static_cast<double>(size_of(event.dtype));
    comm.seconds += end - begin;
    record(*a.actor, PlayedSpan::Kind::comm, begin, end, a.call->traced, {a.program, a.micro});
    if (!a.flight) return;
    a.flight->begin = begin;
    a.flight->end = end;
    a.flight->done = true;
    if (a.flight->awaited) ready_.push_back(a.actor);
  }
  // Of a meeting, as the first seat knows it: of a transfer, the sender.
  double seconds(const Arrival& a) {
    if (!clock_) return 0;
    const auto i = static_cast<std::size_t>(a.call - a.actor->script->calls.data());
    double& cost = a.actor->costs[i];
    if (cost >= 0) return cost;
    const std::vector<int>& ranks = state_.index.members(a.call->communicator, a.actor->rank);
    if (!is_transfer(a.call->event->kind))
      return cost = clock_->comm_seconds(*a.call->event, ranks);
    const int to = state_.index.place(a.call->communicator, a.actor->rank) + a.call->offset;
    const std::array<int, 2> ends = {a.actor->rank,
                                     ranks[static_cast<std::size_t>(to) % ranks.size()]};
    return cost = clock_->comm_seconds(*a.call->event, ends);
  }

  // False: not complete yet; the actor goes on with this step when it is.
  bool wait(Actor& actor, const ProgramRun& run, std::uint64_t id) {
    auto found = actor.flights.find(key_of(run.micro, id));
    if (found == actor.flights.end()) found = actor.flights.find(key_of(-1, id));
    if (found == actor.flights.end() && run.micro < 0)
      found = std::ranges::find_if(
          actor.flights, [id](const auto& entry) { return entry.second.call->event->id == id; });
    if (found == actor.flights.end()) raise_not_begun(actor, id, run.program, run.micro);
    Flight& flight = found->second;
    actor.blocked = flight.done ? nullptr : &flight;
    flight.awaited = !flight.done;
    if (!flight.done) return false;
    if (flight.end > actor.now) {
      PlayedComm& comm = actor.played.comms[static_cast<std::size_t>(flight.call->kind)];
      const double from = std::max(actor.now, flight.begin);
      comm.skew += from - actor.now;
      comm.exposed += flight.end - from;
      record(actor, PlayedSpan::Kind::wait, actor.now, flight.end, flight.call->traced, run);
      actor.now = flight.end;
    }
    if (is_transfer(flight.call->event->kind)) actor.host = std::max(actor.host, actor.now);
    actor.flights.erase(found);
    return true;
  }

  void record(Actor& actor, PlayedSpan::Kind kind, double begin, double end,
              const TraceEvent* event, const ProgramRun& run) const {
    if (timeline_)
      actor.played.timeline.push_back({kind, begin, end, event, run.program, run.micro});
  }

  Clock* clock_;
  bool timeline_, buffered_;
  PlayState state_;
  std::vector<Actor*> ready_;
};

// Whether the job would end if sends were complete at once.
bool ends_when_buffered(const Job& job) {
  try {
    return Player(job, nullptr, false, true).run();
  } catch (const Error&) {
    return false;
  }
}

}  // namespace

Played play(const Job& job, Clock* clock, const PlayOptions& options) {
  Player player(job, clock, options.timeline, false);
  if (!player.run()) raise_stuck(player.state(), ends_when_buffered(job));
  require_all_met(player.state());
  return player.result();
}

}  // namespace fusor
