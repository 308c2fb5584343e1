#pragma once
#include <cuda_runtime.h>

#include <cstddef>
#include <source_location>
#include <string>

#include "runtime/cuda_devices.h"
#include "runtime/handle.h"

// What code that calls CUDA shares. Included by sources of the CUDA build alone.
namespace fusor {

// Throws Error with CUDA's own text unless status is cudaSuccess; `what` leads the message.
void check_cuda(cudaError_t status, const std::string& what,
                std::source_location at = std::source_location::current());

inline void destroy_event(cudaEvent_t event) { cudaEventDestroy(event); }
inline void destroy_stream(cudaStream_t stream) { cudaStreamDestroy(stream); }
inline void destroy_graph(cudaGraph_t graph) { cudaGraphDestroy(graph); }
inline void destroy_graph_exec(cudaGraphExec_t graph) { cudaGraphExecDestroy(graph); }
using CudaEvent = Handle<cudaEvent_t, destroy_event>;
using CudaStream = Handle<cudaStream_t, destroy_stream>;
using CudaGraph = Handle<cudaGraph_t, destroy_graph>;
using CudaGraphExec = Handle<cudaGraphExec_t, destroy_graph_exec>;
CudaEvent make_event();         // without timing: for waits
CudaEvent make_timing_event();  // with it
CudaStream make_stream();       // does not wait for the default stream

// What is queued on `later` from now on begins when what is on `earlier` now is done.
void wait_for(cudaStream_t later, cudaStream_t earlier, const CudaEvent& event);

// Bytes of shared memory that a block can have on this thread's device, where its kernel asks.
std::size_t most_shared_memory();
// Asks for `kernel`. Throws Error that names it and the device where that has less.
void ask_for_shared_memory(const void* kernel, std::size_t bytes);

// What a person is told: why there is no GPU, with the driver's CUDA version (0: no driver); why
// one is not for Fusor, or nothing; why it cannot be taken into use.
std::string why_no_gpu(cudaError_t status, int driver);
std::string why_refused(const CudaDevices::Gpu& gpu, bool prohibited);
std::string why_not_taken(const CudaDevices::Gpu& gpu, cudaError_t status);

}  // namespace fusor
