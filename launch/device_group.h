#pragma once
#include <string>
#include <vector>

#include "launch/config.h"
#include "runtime/world.h"

namespace fusor {

// What a rank brings along to exchange tensors of its device with.
struct RankDevice {
  std::string host;
  std::string gpu;      // CudaDevices::Gpu::uuid; empty where tensors are in host memory
  std::string no_nccl;  // why NCCL cannot be used there; empty where it can
};

// What moves the device tensors of such ranks, nccl or mpi: as asked or, by itself, nccl where each
// rank has a GPU of its own and can use NCCL. Throws Error where what is asked for cannot be.
TransportKind choose_transport(TransportKind asked, const std::vector<RankDevice>& ranks);

// The group of all ranks that a Mesh is built over: it moves host tensors as the world does, and
// those of `device`, this rank's, as choose_transport says. `device` is no meta device. Collective;
// throws Error, on every rank, as choose_transport does.
Group device_group(const World& world, const Device& device, TransportKind asked);

}  // namespace fusor
