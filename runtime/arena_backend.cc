#include <sys/mman.h>

#include "runtime/arena_slots.h"
#include "runtime/backends.h"
#include "runtime/error.h"

namespace fusor {
namespace {

// One mapping for the whole rank.
class ArenaBackend final : public HostBackend {
 public:
  explicit ArenaBackend(const MemoryPlan& plan) : slots_(plan) {
    if (plan.bytes == 0) return;
    void* base = ::mmap(nullptr, plan.bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    check_errno(base != MAP_FAILED, "arena of " + std::to_string(plan.bytes) + " bytes");
    ::madvise(base, plan.bytes, MADV_HUGEPAGE);  // a hint: fewer TLB misses where it is granted
    base_ = static_cast<std::byte*>(base);
  }
  ~ArenaBackend() override {
    if (base_) ::munmap(base_, slots_.bytes());
  }

  Block allocate(std::size_t bytes) override {
    return {.data = base_ + slots_.next(bytes, *this), .bytes = bytes};
  }
  void release(const Block&) noexcept override {}
  void program_begin(std::string_view name, int micro) override {
    slots_.program_begin(name, micro);
  }
  void program_end() override { slots_.program_end(); }
  std::size_t high_water() const override { return slots_.high_water(); }

 private:
  ArenaSlots slots_;
  std::byte* base_ = nullptr;
};

}  // namespace

std::shared_ptr<DeviceBackend> make_arena_backend(const MemoryPlan& plan) {
  return std::make_shared<ArenaBackend>(plan);
}

}  // namespace fusor
