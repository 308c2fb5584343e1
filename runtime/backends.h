#pragma once
#include <chrono>
#include <cstring>

#include "runtime/device.h"

namespace fusor {

std::shared_ptr<DeviceBackend> make_heap_backend(bool poison);
std::shared_ptr<DeviceBackend> make_meta_backend(Trace&);
std::shared_ptr<DeviceBackend> make_arena_backend(const MemoryPlan&);
// Defined in cuda_backend.cc, or in no_cuda.cc where Fusor is built without CUDA.
std::shared_ptr<DeviceBackend> make_cuda_backend(int index, bool poison);
std::shared_ptr<DeviceBackend> make_cuda_backend(int index, const MemoryPlan&);
std::shared_ptr<DeviceBackend> make_staging_backend();  // page-locked host memory

// What the backends on the host share: kernels run at the call, and their time is kept.
class HostBackend : public DeviceBackend {
 public:
  DeviceKind kind() const override { return DeviceKind::cpu; }
  void op_begin(std::string_view, const Cost& cost) override {
    clock.flops += cost.flops;
    ++clock.calls;
    begin_ = std::chrono::steady_clock::now();
  }
  void op_end() override {
    clock.seconds +=
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
    if (progress) progress(progress_arg);
  }
  void copy(std::byte* to, const std::byte* from, std::size_t bytes) override {
    if (bytes != 0) std::memmove(to, from, bytes);
  }

 private:
  std::chrono::steady_clock::time_point begin_;
};

}  // namespace fusor
