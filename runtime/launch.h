#pragma once
#include <utility>

#include "runtime/device.h"
#include "runtime/error.h"
#include "runtime/spans.h"

namespace fusor {

// One tag per backend. Kernels are overloads on the tag, so a missing one is a build error.
struct Cpu {};
struct Cuda {
  CUstream_st* stream = nullptr;  // where the device's operators run, in order
};

// Tells the device, and a trace of spans, of an operator for as long as it runs.
class OpScope {
 public:
  OpScope(const Device& device, std::string_view op, const Cost& cost)
      : span_(op), backend_(device.backend()) {
    backend_.op_begin(op, cost);
  }
  ~OpScope() { backend_.op_end(); }
  OpScope(const OpScope&) = delete;
  OpScope& operator=(const OpScope&) = delete;

 private:
  Span span_;
  DeviceBackend& backend_;
};

// Calls f(Cpu{}) or f(Cuda{...}). The only place that tells backends apart: code above never does.
template <class F>
void on_backend(DeviceKind kind, F&& f, [[maybe_unused]] CUstream_st* stream = nullptr) {
  switch (kind) {
    case DeviceKind::cpu:
      return f(Cpu{});
    case DeviceKind::cuda:
#ifdef FUSOR_CUDA
      return f(Cuda{stream});
#else
      raise("this build has no CUDA backend");
#endif
    case DeviceKind::meta:
      raise("meta is no backend");
  }
}

// Runs the kernel of an operator; on meta the call is recorded and nothing runs.
template <class Kernel>
void launch(const Device& device, std::string_view op, const Cost& cost, Kernel&& kernel) {
  const OpScope running(device, op, cost);
  if (device.kind() != DeviceKind::meta)
    on_backend(device.kind(), kernel, device.backend().stream());
}

}  // namespace fusor
