#include "launch/host_room.h"

#include "runtime/copy.h"

namespace fusor {
namespace {

bool on_cpu(const Tensor& tensor) { return tensor.device().kind() == DeviceKind::cpu; }

}  // namespace

std::byte* HostRoom::take(const Device& device, std::size_t bytes) {
  if (!memory_.defined() || memory_.bytes() < bytes) {
    memory_ = {};  // before the larger one is taken
    memory_ = Tensor({static_cast<std::int64_t>(bytes)}, DType::u8, Device::staging(device));
  }
  return memory_.raw();
}

std::vector<std::span<const std::byte>> HostRoom::read(const std::vector<Tensor>& tensors) {
  std::size_t bytes = 0;
  for (const Tensor& tensor : tensors) bytes += on_cpu(tensor) ? 0 : tensor.bytes();
  std::byte* to = bytes > 0 ? take(tensors[0].device(), bytes) : nullptr;
  std::vector<std::span<const std::byte>> all;
  for (const Tensor& tensor : tensors) {
    if (on_cpu(tensor)) {
      all.emplace_back(tensor.raw(), tensor.bytes());
      continue;
    }
    tensor.device().backend().copy(to, tensor.raw(), tensor.bytes());
    all.emplace_back(to, tensor.bytes());
    to += tensor.bytes();
  }
  if (bytes > 0) synchronize(tensors[0].device());
  return all;
}

void HostRoom::fill(const Tensor& tensor, const std::function<void(std::span<std::byte>)>& write) {
  if (on_cpu(tensor)) return write({tensor.raw(), tensor.bytes()});
  std::byte* const from = take(tensor.device(), tensor.bytes());
  write({from, tensor.bytes()});
  tensor.device().backend().copy(tensor.raw(), from, tensor.bytes());
  synchronize(tensor.device());
}

}  // namespace fusor
