#pragma once
#include <cstddef>
#include <string>

#include "launch/config.h"
#include "runtime/device.h"
#include "runtime/world.h"

namespace fusor {

// Where a rank computes: on a GPU or on the CPU.
struct Placement {
  int gpu = -1;         // of this process; -1: the CPU
  int ranks = 1;        // that compute there: on the same GPU, or on the CPUs of the same host
  std::string place{};  // "GPU 0 (NVIDIA H200) of host n01", "host n01"
  std::string text{};   // for people: "computes on GPU 0 (NVIDIA H200) of host n01"

  DeviceKind kind() const { return gpu < 0 ? DeviceKind::cpu : DeviceKind::cuda; }
  Device heap() const;                         // one allocation a tensor
  Device arena(const MemoryPlan& plan) const;  // as a rehearsal has planned
};

// What a rank knows before it asks the others: the GPU that it has taken into use, or why there is
// none for it.
struct OwnGpu {
  int index = -1;  // -1: none
  std::string name{}, uuid{};
  std::string why_none{};
  bool refused = false;  // there is one, but it could not be taken into use
};
OwnGpu find_gpu(TrainDevice wish, int local_rank);

// Either every rank computes on a GPU or none does: with `automatic` the CPU is taken where no rank
// has a GPU. Throws Error, the same on all ranks, that names the first rank which cannot do as it
// should, and why. Collective.
Placement place_rank(TrainDevice wish, const World& world);
Placement place_rank(TrainDevice wish, const OwnGpu& own, const World& world);
// What a process that plans for others plans for: `automatic` is a GPU where this process has one.
// Throws Error where Fusor was built without the backend.
DeviceKind planned_kind(TrainDevice wish);

// Bytes that all ranks which compute there may plan with. Of a GPU, what CUDA and NCCL take beside
// the arenas is left out.
std::size_t plannable_bytes(const Placement& placement);
// Throws Error that says what is free unless each of these ranks can have `bytes`, which all take
// at once; the kernel would find out too late, and kill one. `about` leads the figure: "more than
// ", or nothing.
void require_memory(std::size_t bytes, const std::string& about, const Placement& placement);

// The recipe as a rehearsal takes it: train.device says where ranks compute.
Config placed(Config config, DeviceKind kind);

}  // namespace fusor
