#pragma once
#include <cstddef>
#include <string>
#include <vector>

// Which GPUs a process can use, without holding any.
namespace fusor {

struct CudaDevices {
  struct Gpu {
    std::string name;   // "NVIDIA H200"
    std::string uuid;   // "GPU-..." as nvidia-smi -L prints it: no other GPU has it
    int major, minor;   // compute capability
    std::size_t bytes;  // of memory
    int multiprocessors;
    std::string refused;  // why it cannot be used; empty if it can
  };
  std::vector<Gpu> gpus;
  // Why there are none: Fusor built without CUDA, no driver, one too old, no device. Else empty.
  std::string why_none;
};

// Asks the driver, once.
const CudaDevices& cuda_devices();

// The GPU of a process that is the local_rank-th of its host: each its own while they last, then
// they are shared. -1 where there is none that can be used.
int cuda_device_of(int local_rank);

}  // namespace fusor
