#include <algorithm>
#include <cstdio>
#include <cstring>

#include "tests/emulator/block.h"
#include "tests/emulator/machine.h"

// Devices with the properties of an H200, but for the memory.
namespace fusor::emulator {
namespace {

thread_local int device = 0;

void check_device(const Machine& m, int index) {
  if (m.gpus.empty()) fail(cudaErrorNoDevice, "no CUDA-capable device is detected");
  if (index < 0 || static_cast<std::size_t>(index) >= m.gpus.size())
    fail(cudaErrorInvalidDevice, "invalid device ordinal");
}

// For calls that neither need a device nor mind a broken one.
cudaError_t ask(const std::function<void(Machine&)>& body) try {
  Machine& m = machine();
  const std::lock_guard lock(m.lock);
  body(m);
  return cudaSuccess;
} catch (const Fault& fault) {
  return remembered(fault);
}

}  // namespace

int current_device() { return device; }
Gpu& current_gpu(Machine& m) {
  check_device(m, device);
  return m.gpus[static_cast<std::size_t>(device)];
}

}  // namespace fusor::emulator

using namespace fusor::emulator;

cudaError_t cudaGetDeviceCount(int* count) {
  return ask([=](Machine& m) {
    check_device(m, 0);
    *count = static_cast<int>(m.gpus.size());
  });
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* to, int index) {
  return ask([=](Machine& m) {
    check_device(m, index);
    cudaDeviceProp p{};
    std::strcpy(p.name, "emulated");
    p.uuid.bytes[15] = static_cast<char>(index + 1);
    p.totalGlobalMem = m.gpus[static_cast<std::size_t>(index)].capacity;
    p.sharedMemPerBlock = kSharedUnasked;
    p.sharedMemPerBlockOptin = m.most_shared;
    p.sharedMemPerMultiprocessor = std::size_t{228} << 10;
    p.major = 9, p.minor = 0;
    p.multiProcessorCount = 132;
    p.warpSize = warpSize;
    p.maxThreadsPerBlock = kMostThreads;
    p.maxThreadsPerMultiProcessor = 2048;
    p.regsPerBlock = 65536;
    p.l2CacheSize = 50 << 20;
    p.pciBusID = index + 1;
    *to = p;
  });
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int index) {
  cudaDeviceProp p{};
  if (const cudaError_t status = cudaGetDeviceProperties(&p, index)) return status;
  switch (attribute) {
    case cudaDevAttrMaxThreadsPerBlock:
      *value = p.maxThreadsPerBlock;
      return cudaSuccess;
    case cudaDevAttrMultiProcessorCount:
      *value = p.multiProcessorCount;
      return cudaSuccess;
    case cudaDevAttrComputeMode:
      *value = cudaComputeModeDefault;
      return cudaSuccess;
    case cudaDevAttrComputeCapabilityMajor:
      *value = p.major;
      return cudaSuccess;
    case cudaDevAttrComputeCapabilityMinor:
      *value = p.minor;
      return cudaSuccess;
    case cudaDevAttrMaxSharedMemoryPerMultiprocessor:
      *value = static_cast<int>(p.sharedMemPerMultiprocessor);
      return cudaSuccess;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      *value = static_cast<int>(p.sharedMemPerBlockOptin);
      return cudaSuccess;
  }
  return remembered({cudaErrorInvalidValue, "a device attribute that is not emulated"});
}

cudaError_t cudaDeviceGetPCIBusId(char* text, int bytes, int index) {
  return ask([=](Machine& m) {
    check_device(m, index);
    std::snprintf(text, static_cast<std::size_t>(bytes), "0000:%02X:00.0", index + 1);
  });
}

cudaError_t cudaDriverGetVersion(int* version) {
  *version = CUDART_VERSION;
  return cudaSuccess;
}
cudaError_t cudaRuntimeGetVersion(int* version) { return cudaDriverGetVersion(version); }

cudaError_t cudaSetDevice(int index) {
  return ask([=](Machine& m) {
    check_device(m, index);
    device = index;
  });
}
cudaError_t cudaGetDevice(int* index) {
  *index = device;
  return cudaSuccess;
}

cudaError_t cudaDeviceSynchronize() {
  return call(During::refused, [](Machine& m) { run_device(current_gpu(m)); });
}

// Ends the queued work, the memory and the error of the device; its streams and events stay.
cudaError_t cudaDeviceReset() {
  return ask([](Machine& m) {
    Gpu& gpu = current_gpu(m);
    for (const auto& stream : gpu.streams) stream->items.clear();
    free_all(gpu);
    gpu.broken.reset();
  });
}
