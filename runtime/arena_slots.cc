#include "runtime/arena_slots.h"

#include "runtime/error.h"

namespace fusor {

void ArenaSlots::program_begin(std::string_view name, int micro) {
  require(!program_, "program '", name, "' begins inside another");
  const auto found = std::find_if(plan_.programs.begin(), plan_.programs.end(),
                                  [&](const auto& p) { return p.name == name; });
  require(found != plan_.programs.end(), "program '", name, "' was never rehearsed");
  program_ = &*found;
  next_in_program_ = 0;
  lane_offset_ = static_cast<std::size_t>(std::max(micro, 0) % found->lanes) * found->lane_bytes;
}

void ArenaSlots::program_end() {
  require(next_in_program_ == program_->slots.size(), where(), " planned ", program_->slots.size(),
          " allocations but made ", next_in_program_);
  program_ = nullptr;
}

void ArenaSlots::refuse(const std::vector<MemoryPlan::Slot>& slots, std::size_t next,
                        std::size_t bytes, const DeviceBackend& backend) const {
  const std::string asked = backend.scope() + " asks for " + std::to_string(bytes) + " bytes ";
  if (next >= slots.size()) raise(asked + "that " + where() + " did not plan");
  raise(asked + "where " + where() + " planned " + std::to_string(slots[next].bytes) + " for " +
        slots[next].scope);
}

std::string ArenaSlots::where() const {
  return program_ ? "the rehearsal of '" + program_->name + "'" : "the rehearsal of the set-up";
}

}  // namespace fusor
