#include "runtime/memory_plan.h"

#include <algorithm>
#include <numeric>
#include <optional>
#include <set>
#include <unordered_map>

#include "runtime/error.h"

namespace fusor {
namespace {

constexpr std::size_t kNever = static_cast<std::size_t>(-1);

// A program as its runs in the trace tell it.
struct Take {
  std::string name;
  std::vector<MemoryPlan::Slot> slots;
  // By slot, how many the program had allocated when this one died, in the run where it lived
  // longest; carried ones never do.
  std::vector<std::size_t> died;
  // The programs that release carried slots for the same micro-batch; and how many runs later, at
  // the least seen, another micro-batch or none does.
  std::set<std::string> releasers;
  std::size_t released_after = 0;
};
struct Run {
  std::string name;
  int micro;
};

std::size_t aligned(std::size_t bytes) {
  return (bytes + MemoryPlan::kAlignment - 1) / MemoryPlan::kAlignment * MemoryPlan::kAlignment;
}

bool same_slots(const std::vector<MemoryPlan::Slot>& a, const std::vector<MemoryPlan::Slot>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& x, const auto& y) {
    return x.bytes == y.bytes && x.carried == y.carried;
  });
}

// Splits the trace into persistent slots, programs, and their runs.
class Reader {
 public:
  Reader(const Trace& trace, std::vector<MemoryPlan::Slot>& persistent) : persistent_(persistent) {
    for (const TraceEvent& e : trace.events) {
      std::visit([this](const auto& event) { on(event); }, e);
    }
    require(!current_, "a program of the rehearsal never ended");
    for (const auto& [id, slot] : carried_) {
      const MemoryPlan::Slot& left = takes_[slot.take].slots[slot.index];
      raise("program '" + takes_[slot.take].name + "' leaves behind " + std::to_string(left.bytes) +
            " bytes of " + left.scope);
    }
  }

  // Each program once.
  std::vector<Take> programs() {
    std::vector<Take> unique;
    for (Take& take : takes_) {
      const auto known = std::ranges::find(unique, take.name, &Take::name);
      if (known == unique.end()) {
        unique.push_back(std::move(take));
        continue;
      }
      require(same_slots(known->slots, take.slots), "program '", take.name,
              "' does not repeat its own allocations");
      std::ranges::transform(known->died, take.died, known->died.begin(), std::ranges::max);
      known->releasers.merge(take.releasers);
      if (known->released_after == 0 || take.released_after == 0)
        known->released_after += take.released_after;
      else
        known->released_after = std::min(known->released_after, take.released_after);
    }
    return unique;
  }
  const std::vector<Run>& runs() const { return runs_; }

 private:
  struct Place {
    std::size_t take, index, run;
  };

  void on(const AllocEvent& e) {
    MemoryPlan::Slot slot{0, e.bytes, e.owner, e.scope};
    if (!current_) {
      persistent_.push_back(std::move(slot));
      return;
    }
    index_[e.id] = current_->slots.size();
    current_->slots.push_back(std::move(slot));
    current_->died.push_back(kNever);
  }
  void on(const ReleaseEvent& e) {
    if (!current_) return;
    if (const auto found = index_.find(e.id); found != index_.end()) {
      current_->died[found->second] = current_->slots.size();
      index_.erase(found);
    } else if (const auto place = carried_.find(e.id); place != carried_.end()) {
      Take& taker = takes_[place->second.take];
      if (runs_[place->second.run].micro == runs_.back().micro)
        taker.releasers.insert(current_->name);
      else
        taker.released_after = std::max(taker.released_after, runs_.size() - 1 - place->second.run);
      carried_.erase(place);
    }
  }
  void on(const ProgramEvent& e) {
    if (e.begin) {
      current_.emplace().name = e.name;
      runs_.push_back({e.name, e.micro});
      return;
    }
    for (const auto& [id, index] : index_) {
      current_->slots[index].carried = true;
      carried_[id] = {takes_.size(), index, runs_.size() - 1};
    }
    takes_.push_back(std::move(*current_));
    current_.reset();
    index_.clear();
  }
  void on(const RepeatEvent& e) { runs_.push_back({e.name, e.micro}); }
  void on(const OpEvent&) {}
  void on(const CommEvent&) {}
  void on(const WaitEvent&) {}

  std::vector<MemoryPlan::Slot>& persistent_;
  std::vector<Take> takes_;
  std::vector<Run> runs_;
  std::optional<Take> current_;
  std::unordered_map<std::uint64_t, std::size_t> index_;  // slots of current_ that are alive
  std::unordered_map<std::uint64_t, Place> carried_;      // alive, of programs that have ended
};

// The lanes that a program's carried slots need: micro-batches i and j whose slots are alive at the
// same time must differ modulo it.
int count_lanes(const Take& take, const std::vector<Run>& runs) {
  struct Life {
    int micro;
    std::size_t begin, end;
  };
  std::vector<Life> lives;
  for (std::size_t k = 0; k < runs.size(); ++k) {
    if (runs[k].name == take.name)
      lives.push_back({std::max(runs[k].micro, 0), k, k + take.released_after});
    if (!take.releasers.contains(runs[k].name)) continue;
    for (Life& life : lives)
      if (runs[k].micro == life.micro || runs[k].micro < 0) life.end = std::max(life.end, k);
  }
  const auto collide = [&](int lanes) {
    for (std::size_t a = 0; a < lives.size(); ++a)
      for (std::size_t b = a + 1; b < lives.size() && lives[b].begin <= lives[a].end; ++b)
        if (lives[a].micro % lanes == lives[b].micro % lanes) return true;
    return false;
  };
  int lanes = 1;
  while (collide(lanes)) {
    require(lanes <= static_cast<int>(lives.size()), "program '", take.name,
            "' runs again before what it left behind is released");
    ++lanes;
  }
  return lanes;
}

// Lays a program's carried slots side by side, lane after lane, from `base`. Returns what lies
// above.
std::size_t lay_lanes(const Take& take, const std::vector<Run>& runs, std::size_t base,
                      MemoryPlan::Program& program, std::size_t& peak) {
  for (MemoryPlan::Slot& slot : program.slots) {
    if (!slot.carried) continue;
    slot.offset = base + program.lane_bytes;
    program.lane_bytes += aligned(slot.bytes);
  }
  if (program.lane_bytes == 0) return base;
  program.lanes = count_lanes(take, runs);
  const std::size_t last_lane = static_cast<std::size_t>(program.lanes - 1) * program.lane_bytes;
  for (const MemoryPlan::Slot& slot : program.slots)
    if (slot.carried) peak = std::max(peak, slot.offset + last_lane + slot.bytes);
  return base + last_lane + program.lane_bytes;
}

// Gives every slot that is not carried the lowest offset that no slot alive at the same time uses,
// the largest first. Returns the end of the highest.
std::size_t pack(const Take& take, std::vector<MemoryPlan::Slot>& slots, std::size_t base) {
  std::vector<std::size_t> order(slots.size()), placed;
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::erase_if(order, [&](std::size_t i) { return slots[i].carried; });
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return slots[a].bytes > slots[b].bytes; });
  std::size_t end = base;
  for (const std::size_t i : order) {
    std::size_t offset = base;
    for (const std::size_t j : placed) {  // by offset
      if (take.died[std::min(i, j)] <= std::max(i, j)) continue;
      if (offset + slots[i].bytes <= slots[j].offset) break;
      offset = std::max(offset, slots[j].offset + aligned(slots[j].bytes));
    }
    slots[i].offset = offset;
    if (slots[i].bytes == 0) continue;
    end = std::max(end, offset + slots[i].bytes);
    placed.insert(
        std::upper_bound(placed.begin(), placed.end(), offset,
                         [&](std::size_t o, std::size_t j) { return o < slots[j].offset; }),
        i);
  }
  return end;
}

}  // namespace

MemoryPlan plan_memory(const Trace& trace) {
  MemoryPlan plan;
  Reader reader(trace, plan.persistent);
  std::size_t base = 0;
  for (MemoryPlan::Slot& slot : plan.persistent) {
    slot.offset = base;
    plan.bytes = std::max(plan.bytes, base + slot.bytes);
    base += aligned(slot.bytes);
  }
  const std::vector<Take> takes = reader.programs();
  for (const Take& take : takes) {
    MemoryPlan::Program program{.name = take.name, .slots = take.slots};
    base = lay_lanes(take, reader.runs(), base, program, plan.bytes);
    plan.programs.push_back(std::move(program));
  }
  for (std::size_t i = 0; i < takes.size(); ++i) {
    MemoryPlan::Program& program = plan.programs[i];
    program.end = pack(takes[i], program.slots, base);
    plan.bytes = std::max(plan.bytes, program.end);
  }
  return plan;
}

}  // namespace fusor
