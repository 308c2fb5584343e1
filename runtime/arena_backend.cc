#include <sys/mman.h>

#include <algorithm>

#include "runtime/backends.h"
#include "runtime/error.h"
#include "runtime/memory_plan.h"

namespace fusor {
namespace {

// One mapping for the whole rank. Each request is answered with the slot that the plan holds for
// it; a request that departs from the plan ends the run with the layer's name.
class ArenaBackend final : public HostBackend {
 public:
  explicit ArenaBackend(const MemoryPlan& plan) : plan_(plan) {
    if (plan.bytes == 0) return;
    void* base = ::mmap(nullptr, plan.bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    check_errno(base != MAP_FAILED, "arena of " + std::to_string(plan.bytes) + " bytes");
    ::madvise(base, plan.bytes, MADV_HUGEPAGE);  // a hint: fewer TLB misses where it is granted
    base_ = static_cast<std::byte*>(base);
  }
  ~ArenaBackend() override {
    if (base_) ::munmap(base_, plan_.bytes);
  }

  Block allocate(std::size_t bytes) override {
    const auto& slots = program_ ? program_->slots : plan_.persistent;
    std::size_t& next = program_ ? next_in_program_ : next_persistent_;
    if (next >= slots.size() || slots[next].bytes != bytes) refuse(slots, next, bytes);
    const MemoryPlan::Slot& slot = slots[next++];
    const std::size_t offset = slot.offset + (slot.carried ? lane_offset_ : 0);
    high_water_ = std::max(high_water_, bytes ? offset + bytes : 0);
    return {.data = base_ + offset, .bytes = bytes};
  }
  void release(const Block&) noexcept override {}

  void program_begin(std::string_view name, int micro) override {
    require(!program_, "program '", name, "' begins inside another");
    const auto found = std::find_if(plan_.programs.begin(), plan_.programs.end(),
                                    [&](const auto& p) { return p.name == name; });
    require(found != plan_.programs.end(), "program '", name, "' was never rehearsed");
    program_ = &*found;
    next_in_program_ = 0;
    lane_offset_ = static_cast<std::size_t>(std::max(micro, 0) % found->lanes) * found->lane_bytes;
  }
  void program_end() override {
    require(next_in_program_ == program_->slots.size(), where(), " planned ",
            program_->slots.size(), " allocations but made ", next_in_program_);
    program_ = nullptr;
  }
  std::size_t high_water() const override { return high_water_; }

 private:
  // Apart from allocate(), which runs too often to have its words ready.
  [[noreturn]] void refuse(const std::vector<MemoryPlan::Slot>& slots, std::size_t next,
                           std::size_t bytes) const {
    const std::string asked = scope() + " asks for " + std::to_string(bytes) + " bytes ";
    if (next >= slots.size()) raise(asked + "that " + where() + " did not plan");
    raise(asked + "where " + where() + " planned " + std::to_string(slots[next].bytes) + " for " +
          slots[next].scope);
  }
  std::string where() const {
    return program_ ? "the rehearsal of '" + program_->name + "'" : "the rehearsal of the set-up";
  }

  MemoryPlan plan_;
  std::byte* base_ = nullptr;
  const MemoryPlan::Program* program_ = nullptr;
  std::size_t next_in_program_ = 0, next_persistent_ = 0, lane_offset_ = 0, high_water_ = 0;
};

}  // namespace

std::shared_ptr<DeviceBackend> make_arena_backend(const MemoryPlan& plan) {
  return std::make_shared<ArenaBackend>(plan);
}

}  // namespace fusor
