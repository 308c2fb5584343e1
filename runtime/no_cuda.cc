// In place of the CUDA backend where Fusor is built without CUDA.
#include "runtime/backends.h"
#include "runtime/cuda_devices.h"
#include "runtime/error.h"

namespace fusor {
namespace {

constexpr char kNoCuda[] = "Fusor was built without CUDA (FUSOR_CUDA=OFF)";

}  // namespace

const CudaDevices& cuda_devices() {
  static const CudaDevices none{{}, kNoCuda};
  return none;
}

bool has_cuda_backend() { return false; }

int cuda_device_of(int) { return -1; }
void use_cuda_device(int) { raise(kNoCuda); }
std::size_t free_cuda_memory(int) { raise(kNoCuda); }

std::shared_ptr<DeviceBackend> make_cuda_backend(int, bool) { raise(kNoCuda); }
std::shared_ptr<DeviceBackend> make_cuda_backend(int, const MemoryPlan&) { raise(kNoCuda); }
std::shared_ptr<DeviceBackend> make_staging_backend() { raise(kNoCuda); }

}  // namespace fusor
