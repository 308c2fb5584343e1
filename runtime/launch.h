#pragma once
#include <utility>

#include "runtime/device.h"
#include "runtime/error.h"

namespace fusor {

// One tag per backend. Kernels are overloads on the tag, so a missing one is a build error.
struct Cpu {};
struct Cuda {};

// Tells the device of an operator for as long as it runs.
class OpScope {
 public:
  OpScope(const Device& device, std::string_view op, const Cost& cost)
      : backend_(device.backend()) {
    backend_.op_begin(op, cost);
  }
  ~OpScope() { backend_.op_end(); }
  OpScope(const OpScope&) = delete;
  OpScope& operator=(const OpScope&) = delete;

 private:
  DeviceBackend& backend_;
};

// Runs kernel(Cpu{}) or kernel(Cuda{}) where the device says so; on meta the call is recorded and
// nothing runs. The only place that tells backends apart: code above never does.
template <class Kernel>
void launch(const Device& device, std::string_view op, const Cost& cost, Kernel&& kernel) {
  const OpScope running(device, op, cost);
  switch (device.kind()) {
    case DeviceKind::meta:
      return;
    case DeviceKind::cpu:
      return kernel(Cpu{});
    case DeviceKind::cuda:
#ifdef FUSOR_CUDA
      return kernel(Cuda{});
#else
      break;
#endif
  }
  raise("this build has no CUDA backend");
}

}  // namespace fusor
