#include <map>
#include <set>
#include <unordered_map>
#include <utility>

#include "parallel/job.h"
#include "runtime/error.h"

namespace fusor {
namespace {

// Ids that mean the same in different micro-batches: what the k-th allocation (or call) of a
// program makes in each of its runs, and what different programs (that of the first micro-batch and
// that of the others, say) make for the same reader.
class Synonyms {
 public:
  void made(std::uint64_t id, int program, int index) {
    const auto [first, fresh] = made_.try_emplace({program, index}, id);
    classes_[id] = {id, {{program, index}}};
    unite(first->second, id);
  }
  // Unless one of them is not known, or one program makes both.
  void unite(std::uint64_t a, std::uint64_t b) {
    if (!classes_.contains(a) || !classes_.contains(b)) return;
    a = root(a), b = root(b);
    if (a == b) return;
    if (b < a) std::swap(a, b);
    std::map<int, int>& all = classes_[a].makers;
    for (const auto& [program, index] : classes_[b].makers)
      if (const auto known = all.find(program); known != all.end() && known->second != index)
        return;
    all.merge(classes_[b].makers);
    classes_[b].parent = a;
  }
  // One that stands for all that mean the same.
  std::uint64_t root(std::uint64_t id) {
    auto found = classes_.find(id);
    if (found == classes_.end()) return id;
    while (found->second.parent != found->first) found = classes_.find(found->second.parent);
    return classes_[id].parent = found->first;
  }

 private:
  struct Class {
    std::uint64_t parent;
    std::map<int, int> makers;  // by program, which of its makings
  };
  std::unordered_map<std::uint64_t, Class> classes_;
  std::map<std::pair<int, int>, std::uint64_t> made_;
};

bool is_of_micro(const AllocEvent& e) {
  return e.owner != Owner::weights && e.owner != Owner::gradients && e.owner != Owner::optimizer;
}

// The events of one kind in a piece, in order.
template <class Event>
std::vector<const Event*> all(const TraceProgram& piece) {
  std::vector<const Event*> found;
  for (const TraceEvent& event : piece.events)
    if (const auto* e = std::get_if<Event>(&event)) found.push_back(e);
  return found;
}

// Cuts a trace into programs, each of which it keeps once.
class ScriptWriter {
 public:
  void add(const TraceEvent& event) {
    if (const auto* program = std::get_if<ProgramEvent>(&event)) {
      end_piece();
      if (program->begin) piece_.name = program->name, micro_ = program->micro;
    } else if (const auto* again = std::get_if<RepeatEvent>(&event)) {
      end_piece();
      const auto known = known_.find(again->name);
      require(known != known_.end(), "program '", again->name, "' repeats but has not been run");
      script_.runs.push_back({.program = known->second, .micro = again->micro});
    } else {
      piece_.events.push_back(event);
    }
  }

  Script finish() {
    end_piece();
    for (TraceProgram& program : script_.programs)
      for (TraceEvent& event : program.events) rename(event);
    return std::move(script_);
  }

 private:
  void end_piece() {
    TraceProgram piece = std::exchange(piece_, {});
    const int micro = std::exchange(micro_, -1);
    if (piece.name.empty() && piece.events.empty()) return;
    const auto next = static_cast<int>(script_.programs.size());
    int number = next;
    if (!piece.name.empty()) {
      number = known_.try_emplace(piece.name, next).first->second;
      note_makings(piece, number);
    }
    script_.runs.push_back({.program = number, .micro = micro});
    if (number == next)
      script_.programs.push_back(std::move(piece));
    else
      learn(piece, script_.programs[static_cast<std::size_t>(number)]);
  }

  // Weights, gradients and optimizer state are themselves in every micro-batch.
  void note_makings(const TraceProgram& piece, int program) {
    int n = 0;
    for (const AllocEvent* e : all<AllocEvent>(piece)) {
      bytes_[e->id] = e->bytes;
      if (is_of_micro(*e)) allocations_.made(e->id, program, n);
      ++n;
    }
    n = 0;
    for (const CommEvent* e : all<CommEvent>(piece)) calls_.made(e->id, program, n++);
  }

  // What stands in the same place of two runs means the same.
  void learn(const TraceProgram& again, const TraceProgram& first) {
    const auto calls = all<CommEvent>(again), known_calls = all<CommEvent>(first);
    require(calls.size() == known_calls.size() &&
                all<AllocEvent>(again).size() == all<AllocEvent>(first).size(),
            "program '", first.name, "' does not repeat itself");
    for (std::size_t i = 0; i < calls.size(); ++i) {
      allocations_.unite(known_calls[i]->in, calls[i]->in);
      allocations_.unite(known_calls[i]->out, calls[i]->out);
    }
    const auto waits = all<WaitEvent>(again), known_waits = all<WaitEvent>(first);
    if (waits.size() == known_waits.size())
      for (std::size_t i = 0; i < waits.size(); ++i) calls_.unite(known_waits[i]->id, waits[i]->id);
    std::vector<std::uint64_t> freed = freed_of_others(again), known = freed_of_others(first);
    drop_common(freed, known);
    if (freed.size() == known.size())
      for (std::size_t i = 0; i < freed.size(); ++i)
        if (bytes_[freed[i]] == bytes_[known[i]]) allocations_.unite(known[i], freed[i]);
  }
  // What a piece frees that others have made.
  std::vector<std::uint64_t> freed_of_others(const TraceProgram& piece) {
    std::set<std::uint64_t> own;
    for (const AllocEvent* e : all<AllocEvent>(piece)) own.insert(e->id);
    std::vector<std::uint64_t> freed;
    for (const ReleaseEvent* e : all<ReleaseEvent>(piece))
      if (!own.contains(e->id)) freed.push_back(allocations_.root(e->id));
    return freed;
  }
  static void drop_common(std::vector<std::uint64_t>& a, std::vector<std::uint64_t>& b) {
    const std::set<std::uint64_t> of_a(a.begin(), a.end()), of_b(b.begin(), b.end());
    std::erase_if(a, [&](std::uint64_t id) { return of_b.contains(id); });
    std::erase_if(b, [&](std::uint64_t id) { return of_a.contains(id); });
  }

  void rename(TraceEvent& event) {
    if (auto* alloc = std::get_if<AllocEvent>(&event)) alloc->id = allocations_.root(alloc->id);
    if (auto* release = std::get_if<ReleaseEvent>(&event))
      release->id = allocations_.root(release->id);
    if (auto* wait = std::get_if<WaitEvent>(&event)) wait->id = calls_.root(wait->id);
    if (auto* call = std::get_if<CommEvent>(&event)) {
      call->id = calls_.root(call->id);
      call->in = allocations_.root(call->in), call->out = allocations_.root(call->out);
    }
  }

  Script script_;
  std::map<std::string, int> known_;
  TraceProgram piece_;
  int micro_ = -1;
  Synonyms allocations_, calls_;
  std::unordered_map<std::uint64_t, std::size_t> bytes_;
};

}  // namespace

Script script_of(const Trace& trace) {
  ScriptWriter writer;
  for (const TraceEvent& event : trace.events) writer.add(event);
  return writer.finish();
}

}  // namespace fusor
