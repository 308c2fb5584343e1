#include "runtime/cuda_devices.h"

#include <cstdlib>

#include "runtime/cuda.h"
#include "runtime/error.h"

namespace fusor {
namespace {

std::string version_text(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

std::string capability_text(const CudaDevices::Gpu& gpu) {
  return std::to_string(gpu.major) + "." + std::to_string(gpu.minor);
}

// "GPU-01234567-89ab-cdef-0123-456789abcdef"
std::string uuid_text(const cudaDeviceProp& p) {
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string text = "GPU-";
  for (std::size_t i = 0; i < sizeof p.uuid.bytes; ++i) {
    const auto byte = static_cast<unsigned char>(p.uuid.bytes[i]);
    if (i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    text += {kHex[byte / 16], kHex[byte % 16]};
  }
  return text;
}

CudaDevices::Gpu describe(int index) {
  cudaDeviceProp p{};
  check_cuda(cudaGetDeviceProperties(&p, index), "cudaGetDeviceProperties");
  CudaDevices::Gpu gpu{p.name,           uuid_text(p),          p.major, p.minor,
                       p.totalGlobalMem, p.multiProcessorCount, ""};
  int mode = cudaComputeModeDefault;
  check_cuda(cudaDeviceGetAttribute(&mode, cudaDevAttrComputeMode, index),
             "cudaDeviceGetAttribute");
  gpu.refused = why_refused(gpu, mode == cudaComputeModeProhibited);
  return gpu;
}

// By default the driver feeds a GPU through 8 queues. Streams beyond share one, where the exchange
// of one group would stand behind that of another, which may be waiting for it at another rank.
void ask_for_queues() { ::setenv("CUDA_DEVICE_MAX_CONNECTIONS", "32", /*overwrite=*/0); }

CudaDevices ask_driver() {
  ask_for_queues();  // read when the driver starts
  CudaDevices found;
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status != cudaSuccess) {
    cudaGetLastError();
    int driver = 0;
    found.why_none = why_no_gpu(status, cudaDriverGetVersion(&driver) == cudaSuccess ? driver : 0);
    return found;
  }
  for (int i = 0; i < count; ++i) found.gpus.push_back(describe(i));
  if (found.gpus.empty()) found.why_none = why_no_gpu(cudaErrorNoDevice, CUDART_VERSION);
  return found;
}

}  // namespace

std::string why_no_gpu(cudaError_t status, int driver) {
  if (driver == 0) return "no NVIDIA driver is installed on this host";
  if (status == cudaErrorInsufficientDriver)
    return "the NVIDIA driver of this host supports CUDA " + version_text(driver) +
           ", but Fusor was built with CUDA " + version_text(CUDART_VERSION) +
           ": update the driver";
  if (status == cudaErrorNoDevice)
    return "the NVIDIA driver shows no GPU (CUDA_VISIBLE_DEVICES hides those it does not name)";
  return std::string("the NVIDIA driver answers: ") + cudaGetErrorString(status);
}

std::string why_refused(const CudaDevices::Gpu& gpu, bool prohibited) {
  constexpr int kOldest = 80;
  if (10 * gpu.major + gpu.minor < kOldest)
    return gpu.name + " has compute capability " + capability_text(gpu) +
           ", but Fusor needs 8.0 or later";
  return prohibited ? gpu.name + " is in compute mode Prohibited" : "";
}

std::string why_not_taken(const CudaDevices::Gpu& gpu, cudaError_t status) {
  if (status == cudaErrorDevicesUnavailable)
    return "is taken by another process, and its compute mode lets one alone use it";
  if (status == cudaErrorNoKernelImageForDevice || status == cudaErrorInvalidDeviceFunction)
    return "has compute capability " + capability_text(gpu) +
           ", which Fusor was not built for: set CMAKE_CUDA_ARCHITECTURES";
  if (status == cudaErrorMemoryAllocation) return "has not even the memory to begin with";
  return std::string("cannot be used: ") + cudaGetErrorString(status);
}

bool has_cuda_backend() { return true; }

const CudaDevices& cuda_devices() {
  static const CudaDevices found = ask_driver();
  return found;
}

int cuda_device_of(int local_rank) {
  std::vector<int> usable;
  const auto& gpus = cuda_devices().gpus;
  for (std::size_t i = 0; i < gpus.size(); ++i)
    if (gpus[i].refused.empty()) usable.push_back(static_cast<int>(i));
  if (usable.empty()) return -1;
  return usable[static_cast<std::size_t>(local_rank) % usable.size()];
}

void use_cuda_device(int index) {
  const CudaDevices& devices = cuda_devices();
  require(devices.why_none.empty(), devices.why_none);
  require(index >= 0 && index < std::ssize(devices.gpus), "no GPU ", index, " among ",
          devices.gpus.size());
  const CudaDevices::Gpu& gpu = devices.gpus[static_cast<std::size_t>(index)];
  require(gpu.refused.empty(), gpu.refused);
  cudaError_t status = cudaSetDevice(index);
  if (status == cudaSuccess) status = cudaFree(nullptr);  // makes the context, if that has not yet
  if (status == cudaSuccess) return;
  cudaGetLastError();  // so that the next check does not meet it again
  raise("GPU " + std::to_string(index) + " (" + gpu.name + ") " + why_not_taken(gpu, status));
}

std::size_t free_cuda_memory(int index) {
  use_cuda_device(index);
  std::size_t free = 0, total = 0;
  check_cuda(cudaMemGetInfo(&free, &total), "memory of GPU " + std::to_string(index));
  return free;
}

}  // namespace fusor
