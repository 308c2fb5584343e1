#pragma once
#include <cstddef>
#include <functional>
#include <span>
#include <vector>

#include "runtime/tensor.h"

namespace fusor {

// How files meet tensors of any device: those that the host can reach are their own memory, others
// are copied through memory that is kept from one use to the next.
class HostRoom {
 public:
  // The bytes of the tensors, which lie on one device. Until the next use of the room, or while the
  // tensors are not written where they are their own memory.
  std::vector<std::span<const std::byte>> read(const std::vector<Tensor>& tensors);
  // Makes what `write` writes the tensor's elements.
  void fill(const Tensor& tensor, const std::function<void(std::span<std::byte>)>& write);

 private:
  std::byte* take(const Device& device, std::size_t bytes);
  Tensor memory_;  // u8
};

}  // namespace fusor
