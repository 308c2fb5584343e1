#include "runtime/copy.h"

namespace fusor {

void copy(const Tensor& from, const Tensor& to) {
  require(from.dtype() == to.dtype() && from.size() == to.size(), "copy of ", from.shape(), " ",
          from.dtype(), " to ", to.shape(), " ", to.dtype());
  const Tensor& queued = from.device().kind() == DeviceKind::cpu ? to : from;
  queued.device().backend().copy(to.raw(), from.raw(), from.bytes());
}

void synchronize(const Device& device) { device.backend().synchronize(); }

Tensor on_host(const Tensor& from) {
  if (from.device().kind() == DeviceKind::cpu) return from;
  Tensor to(from.shape(), from.dtype(), Device::staging(from.device()));
  copy(from, to);
  synchronize(from.device());
  return to;
}

}  // namespace fusor
