#include "runtime/memory_plan.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <optional>
#include <unordered_map>

#include "runtime/error.h"

namespace fusor {
namespace {

constexpr std::size_t kNever = static_cast<std::size_t>(-1);

// One run of a program as the trace tells it: when each slot is born and dies, by event number.
struct Take {
  std::string name;
  std::vector<MemoryPlan::Slot> slots;
  std::vector<std::size_t> born, died;
};

std::size_t aligned(std::size_t bytes) {
  return (bytes + MemoryPlan::kAlignment - 1) / MemoryPlan::kAlignment * MemoryPlan::kAlignment;
}

// Splits the trace into persistent slots and takes.
class Reader {
 public:
  Reader(const Trace& trace, std::vector<MemoryPlan::Slot>& persistent) : persistent_(persistent) {
    for (const TraceEvent& e : trace.events) {
      std::visit([this](const auto& event) { on(event); }, e);
      ++now_;
    }
    require(!current_, "a program of the rehearsal never ended");
  }
  std::vector<Take> takes;

 private:
  void on(const AllocEvent& e) {
    MemoryPlan::Slot slot{0, e.bytes, e.owner, e.scope};
    if (!current_) {
      persistent_.push_back(std::move(slot));
      return;
    }
    index_[e.id] = current_->slots.size();
    current_->slots.push_back(std::move(slot));
    current_->born.push_back(now_);
    current_->died.push_back(kNever);
  }
  void on(const ReleaseEvent& e) {
    if (const auto found = index_.find(e.id); current_ && found != index_.end())
      current_->died[found->second] = now_;
  }
  void on(const ProgramEvent& e) {
    if (e.begin) {
      current_.emplace().name = e.name;
      return;
    }
    for (std::size_t i = 0; i < current_->slots.size(); ++i)
      require(current_->died[i] != kNever, "program '", e.name, "' leaves behind ",
              current_->slots[i].bytes, " bytes of ", current_->slots[i].scope);
    takes.push_back(std::move(*current_));
    current_.reset();
    index_.clear();
  }
  void on(const OpEvent&) {}
  void on(const CommEvent&) {}
  void on(const WaitEvent&) {}

  std::vector<MemoryPlan::Slot>& persistent_;
  std::optional<Take> current_;
  std::unordered_map<std::uint64_t, std::size_t> index_;
  std::size_t now_ = 0;
};

// Gives every slot of the take the lowest offset that no slot alive at the same time uses, the
// largest first. Returns the end of the highest.
std::size_t pack(Take& take, std::size_t base) {
  std::vector<std::size_t> order(take.slots.size()), placed;
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return take.slots[a].bytes > take.slots[b].bytes;
  });
  std::size_t end = base;
  for (const std::size_t i : order) {
    std::size_t offset = base;
    for (const std::size_t j : placed) {  // by offset
      if (take.died[j] < take.born[i] || take.died[i] < take.born[j]) continue;
      if (offset + take.slots[i].bytes <= take.slots[j].offset) break;
      offset = std::max(offset, take.slots[j].offset + aligned(take.slots[j].bytes));
    }
    take.slots[i].offset = offset;
    if (take.slots[i].bytes == 0) continue;
    end = std::max(end, offset + take.slots[i].bytes);
    placed.insert(
        std::upper_bound(placed.begin(), placed.end(), offset,
                         [&](std::size_t o, std::size_t j) { return o < take.slots[j].offset; }),
        i);
  }
  return end;
}

bool same_slots(const std::vector<MemoryPlan::Slot>& a, const std::vector<MemoryPlan::Slot>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const auto& x, const auto& y) { return x.bytes == y.bytes; });
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
  for (Take& take : reader.takes) {
    const auto known = std::find_if(plan.programs.begin(), plan.programs.end(),
                                    [&](const auto& p) { return p.name == take.name; });
    if (known != plan.programs.end()) {
      require(same_slots(known->slots, take.slots), "program '", take.name,
              "' does not repeat its own allocations");
      continue;
    }
    const std::size_t end = pack(take, base);
    plan.bytes = std::max(plan.bytes, end);
    plan.programs.push_back({take.name, std::move(take.slots), end});
  }
  return plan;
}

}  // namespace fusor
