#include "runtime/cuda.h"

#include "runtime/error.h"

namespace fusor {

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

}  // namespace fusor
