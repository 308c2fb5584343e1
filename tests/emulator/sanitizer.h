#pragma once
#include <cstddef>

// AddressSanitizer is told of every switch of stacks, and of memory that is not to be touched.
#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace fusor::emulator {

#ifdef __SANITIZE_ADDRESS__

inline void forbid(const void* p, std::size_t bytes) { __asan_poison_memory_region(p, bytes); }
inline void allow(const void* p, std::size_t bytes) { __asan_unpoison_memory_region(p, bytes); }

// Around the switches between a thread's own stack and that of one fiber.
class FiberSwitch {
 public:
  FiberSwitch(const void* bottom, std::size_t size) : bottom_(bottom), size_(size) {}
  void enter() { __sanitizer_start_switch_fiber(&outer_, bottom_, size_); }
  void entered_back() { __sanitizer_finish_switch_fiber(outer_, nullptr, nullptr); }
  void leave() { __sanitizer_start_switch_fiber(&inner_, outer_bottom_, outer_size_); }
  void leave_for_good() { __sanitizer_start_switch_fiber(nullptr, outer_bottom_, outer_size_); }
  void returned() { __sanitizer_finish_switch_fiber(inner_, &outer_bottom_, &outer_size_); }

 private:
  const void *bottom_, *outer_bottom_ = nullptr;
  std::size_t size_, outer_size_ = 0;
  void *inner_ = nullptr, *outer_ = nullptr;
};

#else

inline void forbid(const void*, std::size_t) {}
inline void allow(const void*, std::size_t) {}

class FiberSwitch {
 public:
  FiberSwitch(const void*, std::size_t) {}
  void enter() {}
  void entered_back() {}
  void leave() {}
  void leave_for_good() {}
  void returned() {}
};

#endif

}  // namespace fusor::emulator
