#include <cstdlib>
#include <cstring>
#include <new>

#include "runtime/backends.h"
#include "runtime/memory_plan.h"

namespace fusor {
namespace {

class HeapBackend final : public HostBackend {
 public:
  explicit HeapBackend(bool poison) : poison_(poison) {}

  Block allocate(std::size_t bytes) override {
    constexpr std::size_t kStep = MemoryPlan::kAlignment;
    const std::size_t rounded = (bytes + kStep - 1) / kStep * kStep;
    auto* data = static_cast<std::byte*>(std::aligned_alloc(kStep, rounded ? rounded : kStep));
    if (!data) throw std::bad_alloc();
    if (poison_) std::memset(data, 0xff, rounded);  // a NaN in every float format
    return {.data = data, .bytes = bytes};
  }
  void release(const Block& block) noexcept override { std::free(block.data); }

 private:
  bool poison_;
};

}  // namespace

std::shared_ptr<DeviceBackend> make_heap_backend(bool poison) {
  return std::make_shared<HeapBackend>(poison);
}

}  // namespace fusor
