#pragma once
#include <algorithm>
#include <string>
#include <string_view>

#include "runtime/memory_plan.h"

namespace fusor {

// Walks a memory plan as a run does: each request is answered with the slot that the plan holds for
// it. A request that departs from the plan throws Error with the layer's name.
class ArenaSlots {
 public:
  explicit ArenaSlots(const MemoryPlan& plan) : plan_(plan) {}

  // The offset of the next allocation, made by `backend`'s current layer.
  std::size_t next(std::size_t bytes, const DeviceBackend& backend) {
    const auto& slots = program_ ? program_->slots : plan_.persistent;
    std::size_t& next = program_ ? next_in_program_ : next_persistent_;
    if (next >= slots.size() || slots[next].bytes != bytes) refuse(slots, next, bytes, backend);
    const MemoryPlan::Slot& slot = slots[next++];
    const std::size_t offset = slot.offset + (slot.carried ? lane_offset_ : 0);
    high_water_ = std::max(high_water_, bytes ? offset + bytes : 0);
    return offset;
  }
  void program_begin(std::string_view name, int micro);
  void program_end();
  std::size_t high_water() const { return high_water_; }
  std::size_t bytes() const { return plan_.bytes; }

 private:
  // Apart from next(), which runs too often to have its words ready.
  [[noreturn]] void refuse(const std::vector<MemoryPlan::Slot>& slots, std::size_t next,
                           std::size_t bytes, const DeviceBackend& backend) const;
  std::string where() const;

  MemoryPlan plan_;
  const MemoryPlan::Program* program_ = nullptr;
  std::size_t next_in_program_ = 0, next_persistent_ = 0, lane_offset_ = 0, high_water_ = 0;
};

}  // namespace fusor
