#include "tests/emulator/device_memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <new>
#include <vector>

#include "tests/emulator/machine.h"
#include "tests/emulator/sanitizer.h"

namespace fusor::emulator {
namespace {

constexpr std::size_t kReserved = std::size_t{64} << 30;  // addresses of a device
constexpr std::size_t kAlignment = 256;                   // of cudaMalloc
constexpr std::size_t kBehind = 256;                      // watched bytes after each allocation
constexpr int kPoison = 0xff;                             // NaN in every floating type
constexpr unsigned char kWatched = 0xa5;

std::vector<std::uintptr_t>& reserved() {
  static auto& it = *new std::vector<std::uintptr_t>;
  return it;
}

struct sigaction otherwise;

// Tells of host code that touches device memory, and leaves the rest to who was there before.
void on_segv(int signal, siginfo_t* info, void*) {
  const auto at = reinterpret_cast<std::uintptr_t>(info->si_addr);
  for (const std::uintptr_t begin : reserved())
    if (at >= begin && at - begin < kReserved) {
      constexpr char kText[] =
          "the host touches memory of the emulated device, or a kernel touches memory that was "
          "never given out\n";
      [[maybe_unused]] const auto written = write(STDERR_FILENO, kText, sizeof kText - 1);
    }
  sigaction(signal, &otherwise, nullptr);
}

unsigned char* bytes_at(std::uintptr_t at) { return reinterpret_cast<unsigned char*>(at); }

std::size_t with_margin(std::size_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment + kBehind;
}

}  // namespace

DeviceMemory::DeviceMemory() {
  void* const base =
      mmap(nullptr, kReserved, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (base == MAP_FAILED) throw std::bad_alloc();
  begin_ = end_ = reinterpret_cast<std::uintptr_t>(base);
  reserved().push_back(begin_);
  if (reserved().size() > 1) return;
  struct sigaction action {};
  action.sa_sigaction = on_segv;
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGSEGV, &action, &otherwise);
}

void DeviceMemory::open() {
  if (open_ || begin_ == end_) return;
  open_ = mprotect(bytes_at(begin_), end_ - begin_, PROT_READ | PROT_WRITE) == 0;
  if (!open_) throw std::bad_alloc();
}
void DeviceMemory::close() {
  if (!open_) return;
  mprotect(bytes_at(begin_), end_ - begin_, PROT_NONE);
  open_ = false;
}

void* DeviceMemory::take(std::size_t bytes) {
  std::uintptr_t at = begin_;  // the first gap that is large enough
  for (const auto& [next, size] : allocations_) {
    if (next - at >= with_margin(bytes)) break;
    at = next + with_margin(size);
  }
  if (at + with_margin(bytes) > begin_ + kReserved) throw std::bad_alloc();
  close();
  constexpr std::uintptr_t kPage = 4096;
  end_ = std::max(end_, (at + with_margin(bytes) + kPage - 1) / kPage * kPage);
  open();
  allow(bytes_at(at), with_margin(bytes));
  std::memset(bytes_at(at), kPoison, bytes);
  std::memset(bytes_at(at + bytes), kWatched, with_margin(bytes) - bytes);
  forbid(bytes_at(at + bytes), with_margin(bytes) - bytes);
  allocations_[at] = bytes;
  return bytes_at(at);
}

bool DeviceMemory::give_back(void* p) {
  const auto at = reinterpret_cast<std::uintptr_t>(p);
  const std::size_t bytes = allocations_.at(at), behind = with_margin(bytes) - bytes;
  open();
  allow(bytes_at(at + bytes), behind);
  const bool intact = std::all_of(bytes_at(at + bytes), bytes_at(at + bytes + behind),
                                  [](unsigned char x) { return x == kWatched; });
  std::memset(p, kPoison, bytes);
  forbid(p, bytes + behind);
  allocations_.erase(at);
  return intact;
}

void MachineLock::unlock() {
  for (Gpu& gpu : machine().gpus) gpu.memory.close();
  mutex_.unlock();
}

}  // namespace fusor::emulator
