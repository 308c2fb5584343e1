#include "runtime/device.h"

#include <array>
#include <exception>
#include <ostream>

#include "runtime/backends.h"
#include "runtime/error.h"

namespace fusor {

std::ostream& operator<<(std::ostream& out, DeviceKind kind) {
  constexpr std::array<std::string_view, 3> kNames{"cpu", "cuda", "meta"};
  return out << kNames[static_cast<std::size_t>(kind)];
}

std::string_view name_of(Owner owner) {
  constexpr std::array<std::string_view, kNumOwners> kNames{
      "weights", "gradients", "optimizer", "activations", "communication", "workspace", "input"};
  return kNames[static_cast<std::size_t>(owner)];
}

std::unique_ptr<Captured> DeviceBackend::capture(const std::function<void()>&) {
  raise("operators of this device run at the call, so there is nothing to keep");
}

std::string DeviceBackend::scope() const {
  std::string path;
  for (const std::string_view name : scopes) (path += path.empty() ? "" : "/") += name;
  return path;
}

std::string_view DeviceBackend::kept(std::string_view name) {
  const auto found = names_.find(name);
  return found != names_.end() ? *found : *names_.emplace(name).first;
}

// One per thread, since ranks may be threads and a backend is driven by one.
Device::Device() : like_(DeviceKind::cpu) {
  thread_local const std::shared_ptr<DeviceBackend> heap = make_heap_backend(/*poison=*/false);
  backend_ = heap;
}

Device Device::heap(bool poison) { return {make_heap_backend(poison), DeviceKind::cpu}; }
Device Device::meta(Trace& trace, DeviceKind like) { return {make_meta_backend(trace), like}; }
Device Device::arena(const MemoryPlan& plan) { return {make_arena_backend(plan), DeviceKind::cpu}; }
Device Device::cuda(int index, bool poison) {
  return {make_cuda_backend(index, poison), DeviceKind::cuda};
}
Device Device::cuda(int index, const MemoryPlan& plan) {
  return {make_cuda_backend(index, plan), DeviceKind::cuda};
}
Device Device::staging(const Device& device) {
  if (device.kind() != DeviceKind::cuda) return heap();
  return {make_staging_backend(), DeviceKind::cpu};
}

std::size_t Device::high_water() const { return backend_->high_water(); }

Program::~Program() noexcept(false) {
  if (std::uncaught_exceptions() == 0) backend_.program_end();
}

}  // namespace fusor
