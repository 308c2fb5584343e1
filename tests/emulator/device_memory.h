#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>

namespace fusor::emulator {

// The memory of one device: a range of addresses that can be touched only while work runs, so that
// host code that reads or writes it ends the process with a message. What is given out and taken
// back is poisoned; bytes between the allocations are watched.
class DeviceMemory {
 public:
  DeviceMemory();
  DeviceMemory(const DeviceMemory&) = delete;
  DeviceMemory& operator=(const DeviceMemory&) = delete;

  void* take(std::size_t bytes);
  // False if bytes behind the end have been written. p is one of allocations().
  bool give_back(void* p);
  const std::map<std::uintptr_t, std::size_t>& allocations() const { return allocations_; }

  void open();
  void close();

 private:
  std::uintptr_t begin_, end_;                         // of what has ever been given out
  std::map<std::uintptr_t, std::size_t> allocations_;  // bytes by address
  bool open_ = false;
};

// Guards the machine. Memory that was opened is closed when the lock is given back.
class MachineLock {
 public:
  void lock() { mutex_.lock(); }
  void unlock();

 private:
  std::mutex mutex_;
};

}  // namespace fusor::emulator
