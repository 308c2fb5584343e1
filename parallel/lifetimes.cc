#include "parallel/lifetimes.h"

#include <algorithm>
#include <array>
#include <map>
#include <sstream>
#include <unordered_map>
#include <vector>

#include "parallel/compiled_script.h"
#include "runtime/error.h"

namespace fusor {
namespace {

// What of a program others can see: what it takes or frees of theirs and leaves to them, in order.
// The rest is the same in all its runs and is checked once.
struct Outline {
  enum class Kind : std::uint8_t { allocate, release, begin, wait, inner } kind;
  const AllocEvent* alloc = nullptr;        // of allocate, release
  const CommEvent* call = nullptr;          // of begin
  std::array<std::uint64_t, 2> operands{};  // of begin, but for what only this program knows
  std::uint64_t id = 0;                     // of wait
};
struct ProgramOutline {
  std::vector<Outline> events;
  std::ptrdiff_t peak = 0, change = 0;  // bytes, against the program's begin
};

using Allocations = std::unordered_map<std::uint64_t, const AllocEvent*>;

std::string text_of(const AllocEvent& e) {
  return std::to_string(e.bytes) + " bytes of " + std::string(name_of(e.owner)) +
         (e.scope.empty() ? "" : " of " + e.scope);
}

std::string text_of(const CommEvent& e) { return describe(e) + " over " + e.group; }

// Whether it is of one micro-batch, or kept from one to the next.
bool is_of_micro(const AllocEvent& e) {
  return e.owner != Owner::weights && e.owner != Owner::gradients && e.owner != Owner::optimizer;
}

bool uses(const CommEvent& e, std::uint64_t id) { return e.in == id || e.out == id; }

template <class... Parts>
[[noreturn]] void fail(const Parts&... parts) {
  std::ostringstream text;
  (text << ... << parts);
  raise(text.str());
}

std::array<std::uint64_t, 2> operands(const CommEvent& e) { return {e.in, e.out}; }

Allocations allocations_of(const Script& script) {
  Allocations all;
  for (const TraceProgram& program : script.programs)
    for (const TraceEvent& event : program.events)
      if (const auto* e = std::get_if<AllocEvent>(&event)) all.emplace(e->id, e);
  return all;
}

// Checks one program for itself and draws its outline.
class Outliner {
 public:
  Outliner(const TraceProgram& program, const Allocations& all, const std::string& who)
      : all_(all), at_(who + where(program, -1) + ' ') {
    for (const TraceEvent& event : program.events)
      std::visit([this](const auto& e) { on(e); }, event);
  }
  ProgramOutline take() {
    std::erase_if(out_.events, [](const Outline& o) { return o.kind == Kind::inner; });
    for (Outline& o : out_.events)
      for (std::uint64_t& id : o.operands)
        if (const auto own = own_.find(id); own != own_.end() && own->second == kFreed) id = 0;
    return std::move(out_);
  }

 private:
  using Kind = Outline::Kind;
  static constexpr std::size_t kFreed = static_cast<std::size_t>(-1);

  const AllocEvent& known(std::uint64_t id) const {
    const auto found = all_.find(id);
    if (found == all_.end()) fail(at_, "frees or uses allocation ", id, ", which is never made");
    return *found->second;
  }
  void grow(std::ptrdiff_t bytes) {
    out_.change += bytes;
    out_.peak = std::max(out_.peak, out_.change);
  }
  void on(const AllocEvent& e) {
    const bool fresh = own_.emplace(e.id, out_.events.size()).second;
    if (!fresh) fail(at_, "allocates ", text_of(e), " twice");
    out_.events.push_back({.kind = Kind::allocate, .alloc = &e});
    grow(static_cast<std::ptrdiff_t>(e.bytes));
  }
  void on(const ReleaseEvent& e) {
    const AllocEvent& alloc = known(e.id);
    for (const auto& [id, at] : flights_)
      if (const CommEvent& call = *out_.events[at].call; uses(call, e.id))
        fail(at_, "frees ", text_of(alloc), " before it has waited for ", text_of(call));
    grow(-static_cast<std::ptrdiff_t>(alloc.bytes));
    const auto own = own_.find(e.id);
    if (own == own_.end()) {
      out_.events.push_back({.kind = Kind::release, .alloc = &alloc});
      return;
    }
    if (own->second == kFreed) fail(at_, "frees ", text_of(alloc), " twice");
    out_.events[own->second].kind = Kind::inner;
    own->second = kFreed;
  }
  void on(const CommEvent& e) {
    for (const std::uint64_t id : operands(e)) {
      const auto own = own_.find(id);
      if (own != own_.end() && own->second == kFreed)
        fail(at_, "calls ", text_of(e), " on ", text_of(known(id)), " that it has freed");
    }
    flights_.emplace(e.id, out_.events.size());
    out_.events.push_back({.kind = Kind::begin, .call = &e, .operands = operands(e)});
  }
  void on(const WaitEvent& e) {
    const auto begun = flights_.find(e.id);
    if (begun == flights_.end()) {
      out_.events.push_back({.kind = Kind::wait, .id = e.id});
      return;
    }
    // A call that begins and ends here is known to others only by memory of theirs.
    Outline& call = out_.events[begun->second];
    if (std::ranges::all_of(operands(*call.call),
                            [this](auto id) { return !id || own_.contains(id); }))
      call.kind = Kind::inner;
    else
      out_.events.push_back({.kind = Kind::wait, .id = e.id});
    flights_.erase(begun);
  }
  void on(const OpEvent&) {}
  void on(const ProgramEvent&) {}
  void on(const RepeatEvent&) {}

  const Allocations& all_;
  std::string at_;
  ProgramOutline out_;
  std::unordered_map<std::uint64_t, std::size_t> own_;  // allocated here: its outline, or kFreed
  std::map<std::uint64_t, std::size_t> flights_;        // begun here: its outline
};

// Memory and calls of one micro-batch, or of all.
struct Key {
  int micro;
  std::uint64_t id;
  bool operator==(const Key&) const = default;
};
struct KeyHash {
  std::size_t operator()(const Key& k) const {
    return std::hash<std::uint64_t>()(static_cast<std::uint64_t>(k.micro + 1) << 40 ^ k.id);
  }
};

// Follows the outlines through the runs of a script.
class Follower {
 public:
  Follower(const Script& script, const std::string& who) : script_(script), who_(who) {
    const Allocations all = allocations_of(script);
    for (const TraceProgram& program : script.programs)
      programs_.push_back(Outliner(program, all, who).take());
  }

  Peak follow() {
    for (const ProgramRun& run : script_.runs) {
      run_ = &run;
      const ProgramOutline& program = programs_[static_cast<std::size_t>(run.program)];
      if (bytes_ + program.peak > peak_) {
        peak_ = bytes_ + program.peak;
        fullest_ = &run;
      }
      for (const Outline& event : program.events) step(event);
      bytes_ += program.change;
    }
    for (const auto& [key, alive] : alive_)
      if (key.micro >= 0)
        fail(who_, " never frees ", text_of(*alive.alloc), ", allocated", name(*alive.run));
    return {static_cast<std::size_t>(peak_), fullest_ ? name(*fullest_) : ""};
  }

 private:
  struct Alive {
    const AllocEvent* alloc;
    const ProgramRun* run;            // that made it
    const CommEvent* user = nullptr;  // the last call that it was an operand of
    int users = 0;                    // times it is an operand of a call in flight
  };

  std::string name(const ProgramRun& run) const {
    return where(script_.programs[static_cast<std::size_t>(run.program)], run.micro);
  }
  // See ProgramRun.
  auto find(auto& map, std::uint64_t id) const {
    auto found = map.find(Key{run_->micro, id});
    if (found == map.end()) found = map.find(Key{-1, id});
    if (found == map.end() && run_->micro < 0)
      found = std::ranges::find_if(map, [id](const auto& entry) { return entry.first.id == id; });
    return found;
  }

  void step(const Outline& event) {
    switch (event.kind) {
      case Outline::Kind::allocate: {
        const Key key{is_of_micro(*event.alloc) ? run_->micro : -1, event.alloc->id};
        const auto [at, fresh] = alive_.try_emplace(key, Alive{event.alloc, run_});
        if (!fresh)
          fail(who_, name(*run_), " allocates ", text_of(*event.alloc),
               " again, which are there already, allocated", name(*at->second.run));
        return;
      }
      case Outline::Kind::release:
        return release(*event.alloc);
      case Outline::Kind::begin:
        return begin(event);
      case Outline::Kind::wait:
        return wait(event.id);
      case Outline::Kind::inner:
        return;
    }
  }
  void release(const AllocEvent& alloc) {
    const auto found = find(alive_, alloc.id);
    if (found == alive_.end())
      fail(who_, name(*run_), " needs and frees ", text_of(alloc),
           ", which are not there: freed too early, or not made yet");
    if (found->second.users > 0)
      fail(who_, name(*run_), " frees ", text_of(alloc), " before it has waited for ",
           text_of(*found->second.user));
    alive_.erase(found);
  }
  void begin(const Outline& event) {
    const CommEvent& call = *event.call;
    flights_[{run_->micro, call.id}] = &event;
    for (const std::uint64_t id : event.operands) {
      if (id == 0) continue;
      const auto found = find(alive_, id);
      if (found == alive_.end())
        fail(who_, name(*run_), " calls ", text_of(call),
             " on memory that is not there: freed too early, or not made yet");
      found->second.user = &call;
      ++found->second.users;
    }
  }
  void wait(std::uint64_t id) {
    const auto flight = find(flights_, id);
    if (flight == flights_.end()) return;  // the play tells
    for (const std::uint64_t operand : flight->second->operands)
      if (const auto found = find(alive_, operand); found != alive_.end()) --found->second.users;
    flights_.erase(flight);
  }

  const Script& script_;
  const std::string& who_;
  std::vector<ProgramOutline> programs_;
  const ProgramRun *run_ = nullptr, *fullest_ = nullptr;
  std::ptrdiff_t bytes_ = 0, peak_ = 0;
  std::unordered_map<Key, Alive, KeyHash> alive_;
  std::unordered_map<Key, const Outline*, KeyHash> flights_;
};

}  // namespace

Peak check_lifetimes(const Script& script, const std::string& who) {
  return Follower(script, who).follow();
}

}  // namespace fusor
