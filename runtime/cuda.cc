#include "runtime/cuda.h"

#include <cxxabi.h>

#include <cstdlib>
#include <memory>

#include "runtime/error.h"

namespace fusor {
namespace {

std::string name_of_kernel(const void* kernel) {
  const char* mangled = nullptr;
  if (cudaFuncGetName(&mangled, kernel) != cudaSuccess) return "unknown";
  const std::unique_ptr<char, void (*)(void*)> name(
      abi::__cxa_demangle(mangled, nullptr, nullptr, nullptr), std::free);
  return name ? name.get() : mangled;
}

int current_cuda_device() {
  int device = 0;
  check_cuda(cudaGetDevice(&device), "cudaGetDevice");
  return device;
}

}  // namespace

void check_cuda(cudaError_t status, const std::string& what, std::source_location at) {
  if (status == cudaSuccess) return;
  cudaGetLastError();  // so that the next check does not meet it again
  raise(what + ": " + cudaGetErrorString(status), at);
}

CudaEvent make_event() {
  cudaEvent_t event = nullptr;
  check_cuda(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "cudaEventCreate");
  return CudaEvent(event);
}

CudaEvent make_timing_event() {
  cudaEvent_t event = nullptr;
  check_cuda(cudaEventCreate(&event), "cudaEventCreate");
  return CudaEvent(event);
}

CudaStream make_stream() {
  cudaStream_t stream = nullptr;
  check_cuda(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreate");
  return CudaStream(stream);
}

void wait_for(cudaStream_t later, cudaStream_t earlier, const CudaEvent& event) {
  check_cuda(cudaEventRecord(event.get(), earlier), "cudaEventRecord");
  check_cuda(cudaStreamWaitEvent(later, event.get(), 0), "cudaStreamWaitEvent");
}

std::size_t most_shared_memory() {
  int bytes = 0;
  check_cuda(cudaDeviceGetAttribute(&bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin,
                                    current_cuda_device()),
             "cudaDeviceGetAttribute");
  return static_cast<std::size_t>(bytes);
}

void ask_for_shared_memory(const void* kernel, std::size_t bytes) {
  const cudaError_t status = cudaFuncSetAttribute(
      kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes));
  if (status == cudaSuccess) return;
  cudaGetLastError();  // so that the next check does not meet it again
  cudaDeviceProp gpu{};
  check_cuda(cudaGetDeviceProperties(&gpu, current_cuda_device()), "cudaGetDeviceProperties");
  require(bytes <= gpu.sharedMemPerBlockOptin, "kernel ", name_of_kernel(kernel), " needs ", bytes,
          " bytes of shared memory in a block, but ", gpu.name, " has ",
          gpu.sharedMemPerBlockOptin);
  check_cuda(status, "shared memory of a kernel");
}

}  // namespace fusor
