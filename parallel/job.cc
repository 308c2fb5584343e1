#include "parallel/job.h"

#include <map>
#include <unordered_map>
#include <utility>

namespace fusor {
namespace {

// Takes down how a world is split, in place of communicating.
class Recorder final : public Transport {
 public:
  Recorder(int size, std::vector<Communicator>& splits)
      : Transport(0, size, "world"), splits_(splits) {}

  std::unique_ptr<Transport> split(const std::vector<int>& colors, std::string name) override {
    std::map<int, std::vector<int>> groups;
    for (int rank = 0; rank < size(); ++rank)
      groups[colors[static_cast<std::size_t>(rank)]].push_back(rank);
    Communicator& made = splits_.emplace_back(Communicator{name, {}});
    for (auto& [color, ranks] : groups) made.groups.push_back(std::move(ranks));
    return self_transport(std::move(name));
  }

 private:
  Pending start(CommCall call) override {
    raise(describe(call) + ": only splits can be taken down");
  }

  std::vector<Communicator>& splits_;
};

// Cuts a trace into programs, each of which it keeps once: where one runs again, later events that
// speak of what that run allocated or called are made to speak of what the first run did.
class ScriptWriter {
 public:
  void add(const TraceEvent& event) {
    if (const auto* program = std::get_if<ProgramEvent>(&event)) {
      end_piece();
      if (program->begin) piece_.name = program->name, micro_ = program->micro;
    } else if (const auto* again = std::get_if<RepeatEvent>(&event)) {
      end_piece();
      script_.runs.push_back({.program = known_.at(again->name), .micro = again->micro});
    } else {
      piece_.events.push_back(event);
    }
  }

  Script finish() {
    end_piece();
    return std::move(script_);
  }

 private:
  using Ids = std::unordered_map<std::uint64_t, std::uint64_t>;

  void end_piece() {
    TraceProgram piece = std::exchange(piece_, {});
    const int micro = std::exchange(micro_, -1);
    if (piece.name.empty() && piece.events.empty()) return;
    const auto next = static_cast<int>(script_.programs.size());
    const auto [known, fresh] = known_.try_emplace(piece.name, next);
    if (fresh || piece.name.empty()) {
      for (TraceEvent& event : piece.events) rename(event);
      script_.runs.push_back({.program = next, .micro = micro});
      script_.programs.push_back(std::move(piece));
    } else {
      learn(piece, script_.programs[static_cast<std::size_t>(known->second)]);
      script_.runs.push_back({.program = known->second, .micro = micro});
    }
  }

  // The ids of one kind of event in a piece, in order.
  template <class Event>
  static std::vector<std::uint64_t> ids_of(const TraceProgram& piece) {
    std::vector<std::uint64_t> ids;
    for (const TraceEvent& event : piece.events)
      if (const auto* e = std::get_if<Event>(&event)) ids.push_back(e->id);
    return ids;
  }
  template <class Event>
  static void pair_up(const TraceProgram& again, const TraceProgram& first, Ids& ids) {
    const std::vector<std::uint64_t> from = ids_of<Event>(again), to = ids_of<Event>(first);
    require(from.size() == to.size(), "program '", first.name, "' does not repeat itself");
    for (std::size_t i = 0; i < from.size(); ++i) ids[from[i]] = to[i];
  }
  void learn(const TraceProgram& again, const TraceProgram& first) {
    pair_up<AllocEvent>(again, first, allocations_);
    pair_up<CommEvent>(again, first, calls_);
  }

  static void rename(std::uint64_t& id, const Ids& ids) {
    if (const auto found = ids.find(id); found != ids.end()) id = found->second;
  }
  void rename(TraceEvent& event) const {
    if (auto* release = std::get_if<ReleaseEvent>(&event)) rename(release->id, allocations_);
    if (auto* wait = std::get_if<WaitEvent>(&event)) rename(wait->id, calls_);
    if (auto* call = std::get_if<CommEvent>(&event))
      rename(call->in, allocations_), rename(call->out, allocations_);
  }

  Script script_;
  std::map<std::string, int> known_;
  TraceProgram piece_;
  int micro_ = -1;
  Ids allocations_, calls_;  // of runs that repeat, to those of the first
};

}  // namespace

Script script_of(const Trace& trace) {
  ScriptWriter writer;
  for (const TraceEvent& event : trace.events) writer.add(event);
  return writer.finish();
}

std::vector<TraceProgram> programs_of(const Trace& trace) {
  std::vector<TraceProgram> programs(1);
  std::size_t current = 0;
  for (const TraceEvent& event : trace.events) {
    const auto* bound = std::get_if<ProgramEvent>(&event);
    if (!bound) {
      programs[current].events.push_back(event);
    } else if (bound->begin) {
      current = programs.size();
      programs.push_back({bound->name, {}});
    } else {
      current = 0;
    }
  }
  return programs;
}

std::vector<Communicator> communicators_of(const MeshShape& shape) {
  std::vector<Communicator> all;
  if (shape.size() == 1) return all;
  all.push_back({"world", {{}}});
  for (int rank = 0; rank < shape.size(); ++rank) all[0].groups[0].push_back(rank);
  Mesh::over(Group(std::make_shared<Recorder>(shape.size(), all)), shape);
  return all;
}

}  // namespace fusor
