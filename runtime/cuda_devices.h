#pragma once
#include <cstddef>
#include <string>
#include <vector>

// Which GPUs a process can use.
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

bool has_cuda_backend();  // whether Fusor was built with CUDA

// Asks the driver, once, and holds none.
const CudaDevices& cuda_devices();

// The GPU of a process that is the local_rank-th of its host: each its own while they last, then
// they are shared. -1 where there is none that can be used.
int cuda_device_of(int local_rank);

// Makes GPU `index` the one of this thread; the first time this process takes memory of it. Throws
// Error that says why it cannot be used.
void use_cuda_device(int index);
// Bytes of its memory that are free, after use_cuda_device().
std::size_t free_cuda_memory(int index);

}  // namespace fusor
