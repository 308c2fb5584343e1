#include "runtime/cuda_devices.h"

#include "runtime/cuda.h"

namespace fusor {
namespace {

std::string version_text(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

std::string why_none(cudaError_t status) {
  int driver = 0;
  if (cudaDriverGetVersion(&driver) != cudaSuccess || driver == 0)
    return "no NVIDIA driver is installed on this host";
  if (status == cudaErrorInsufficientDriver)
    return "the NVIDIA driver of this host supports CUDA " + version_text(driver) +
           ", but Fusor was built with CUDA " + version_text(CUDART_VERSION) +
           ": update the driver";
  if (status == cudaErrorNoDevice)
    return "the NVIDIA driver shows no GPU (CUDA_VISIBLE_DEVICES hides those it does not name)";
  return std::string("the NVIDIA driver answers: ") + cudaGetErrorString(status);
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
  constexpr int kOldest = 80;
  if (10 * p.major + p.minor < kOldest)
    gpu.refused = gpu.name + " has compute capability " + std::to_string(p.major) + "." +
                  std::to_string(p.minor) + ", Fusor needs 8.0 or later";
  else if (mode == cudaComputeModeProhibited)
    gpu.refused = gpu.name + " is in compute mode Prohibited";
  return gpu;
}

CudaDevices ask_driver() {
  CudaDevices found;
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status != cudaSuccess) {
    cudaGetLastError();
    found.why_none = why_none(status);
    return found;
  }
  for (int i = 0; i < count; ++i) found.gpus.push_back(describe(i));
  if (found.gpus.empty()) found.why_none = why_none(cudaErrorNoDevice);
  return found;
}

}  // namespace

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

}  // namespace fusor
