#include <nvtx3/nvToolsExt.h>

#include <exception>
#include <thread>
#include <utility>

#include "runtime/arena_slots.h"
#include "runtime/backends.h"
#include "runtime/cuda.h"
#include "runtime/cuda_devices.h"
#include "runtime/error.h"

namespace fusor {
namespace {

// How long a stream has had work: from the first since the last end to the end of the last.
class BusyTime {
 public:
  explicit BusyTime(cudaStream_t stream) : stream_(stream) {}
  void begin() {
    if (!std::exchange(busy_, true)) record(begin_);
  }
  // Before and after waiting for the stream.
  void end() {
    if (busy_) record(end_);
  }
  double seconds() {
    float milliseconds = 0;
    if (std::exchange(busy_, false))
      check_cuda(cudaEventElapsedTime(&milliseconds, begin_.get(), end_.get()),
                 "cudaEventElapsedTime");
    return 1e-3 * static_cast<double>(milliseconds);
  }

 private:
  void record(const CudaEvent& event) {
    check_cuda(cudaEventRecord(event.get(), stream_), "cudaEventRecord");
  }

  cudaStream_t stream_;
  CudaEvent begin_ = make_timing_event(), end_ = make_timing_event();
  bool busy_ = false;
};

class CapturedGraph final : public Captured {
 public:
  CapturedGraph(const CudaGraph& graph, cudaStream_t stream, BusyTime& busy)
      : stream_(stream), busy_(busy) {
    check_cuda(cudaGraphGetNodes(graph.get(), nullptr, &size_), "cudaGraphGetNodes");
    cudaGraphExec_t exec = nullptr;
    check_cuda(cudaGraphInstantiate(&exec, graph.get(), 0), "cudaGraphInstantiate");
    exec_ = CudaGraphExec(exec);
  }
  void queue() override {
    busy_.begin();
    check_cuda(cudaGraphLaunch(exec_.get(), stream_), "cudaGraphLaunch");
  }
  std::size_t size() const override { return size_; }

 private:
  cudaStream_t stream_;
  BusyTime& busy_;
  CudaGraphExec exec_;
  std::size_t size_ = 0;
};

// Operators are queued on one stream, which orders them.
class CudaBackend : public DeviceBackend {
 public:
  explicit CudaBackend(int index) : index_(index), stream_(stream_on(index)) {}
  DeviceKind kind() const override { return DeviceKind::cuda; }
  int gpu() const override { return index_; }
  CUstream_st* stream() const override { return stream_.get(); }

  void op_begin(std::string_view op, const Cost& cost) override {
    if (!capturing_) busy_.begin();
    clock.flops += cost.flops;
    ++clock.calls;
    nvtxRangePushA(std::string(op).c_str());
  }
  void op_end() override {
    nvtxRangePop();
    if (progress) progress(progress_arg);
  }
  void copy(std::byte* to, const std::byte* from, std::size_t bytes) override {
    if (bytes == 0) return;
    check_cuda(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, stream_.get()), "copy");
  }
  void synchronize() override {
    busy_.end();
    wait();
    clock.seconds += busy_.seconds();
  }
  // Other threads, which read ahead, may go on calling CUDA meanwhile.
  std::unique_ptr<Captured> capture(const std::function<void()>& queue) override {
    check_cuda(cudaStreamBeginCapture(stream_.get(), cudaStreamCaptureModeThreadLocal), "capture");
    capturing_ = true;
    std::exception_ptr failure;
    try {
      queue();
    } catch (...) {
      failure = std::current_exception();
    }
    capturing_ = false;
    cudaGraph_t raw = nullptr;
    const cudaError_t status = cudaStreamEndCapture(stream_.get(), &raw);
    const CudaGraph graph(raw);
    if (failure) std::rethrow_exception(failure);
    check_cuda(status, "capture");
    return std::make_unique<CapturedGraph>(graph, stream_.get(), busy_);
  }

 protected:
  // Returns whether memory may go: when nothing that is queued uses it. While an exception unwinds,
  // what waits for other ranks may never end: then memory is left to the end of the process.
  bool run_dry() noexcept {
    if (while_waiting && std::uncaught_exceptions() > 0) return false;
    try {
      synchronize();
    } catch (const Error&) {  // whoever waits for results is told
    }
    return true;
  }
  // Throws Error that tells what is free where `bytes` are not.
  std::byte* take(std::size_t bytes) const {
    void* data = nullptr;
    const cudaError_t status = cudaMalloc(&data, bytes);
    if (status == cudaErrorMemoryAllocation) {
      cudaGetLastError();
      std::size_t free = 0, total = 0;
      cudaMemGetInfo(&free, &total);
      raise("GPU " + std::to_string(index_) + " was asked for " + std::to_string(bytes) +
            " bytes, but " + std::to_string(free) + " of " + std::to_string(total) + " are free");
    }
    check_cuda(status, "cudaMalloc");
    return static_cast<std::byte*>(data);
  }

 private:
  static CudaStream stream_on(int index) {
    use_cuda_device(index);
    return make_stream();
  }
  // A dead peer must be met here, not waited for: see while_waiting.
  void wait() {
    const std::string what = "GPU " + std::to_string(index_);
    if (!while_waiting && !progress) return check_cuda(cudaStreamSynchronize(stream_.get()), what);
    for (;; std::this_thread::yield()) {
      const cudaError_t status = cudaStreamQuery(stream_.get());
      if (progress) progress(progress_arg);
      if (while_waiting) while_waiting();  // also at the end: it may be that of an aborted call
      if (status != cudaErrorNotReady) return check_cuda(status, what);
      cudaGetLastError();  // no error, but kept as one
    }
  }

  int index_;
  CudaStream stream_;
  BusyTime busy_{stream_.get()};
  bool capturing_ = false;
};

// One allocation a tensor. Freeing waits for the device, so nothing queued loses its operands.
class CudaHeap final : public CudaBackend {
 public:
  CudaHeap(int index, bool poison) : CudaBackend(index), poison_(poison) {}
  Block allocate(std::size_t bytes) override {
    std::byte* const data = take(bytes ? bytes : 1);
    if (poison_) check_cuda(cudaMemsetAsync(data, 0xff, bytes, stream()), "poison");
    return {.data = data, .bytes = bytes};
  }
  void release(const Block& block) noexcept override {
    if (run_dry()) cudaFree(block.data);
  }

 private:
  bool poison_;
};

// One allocation for the whole rank.
class CudaArena final : public CudaBackend {
 public:
  CudaArena(int index, const MemoryPlan& plan) : CudaBackend(index), slots_(plan) {
    if (plan.bytes != 0) base_ = take(plan.bytes);
  }
  ~CudaArena() override {
    if (run_dry()) cudaFree(base_);
  }
  Block allocate(std::size_t bytes) override {
    return {.data = base_ + slots_.next(bytes, *this), .bytes = bytes};
  }
  void release(const Block&) noexcept override {}
  void program_begin(std::string_view name, int micro) override {
    slots_.program_begin(name, micro);
  }
  void program_end() override { slots_.program_end(); }
  std::size_t high_water() const override { return slots_.high_water(); }

 private:
  ArenaSlots slots_;
  std::byte* base_ = nullptr;
};

// Page-locked host memory: the GPU copies from and to it by itself.
class StagingBackend final : public HostBackend {
 public:
  Block allocate(std::size_t bytes) override {
    void* data = nullptr;
    check_cuda(cudaHostAlloc(&data, bytes ? bytes : 1, cudaHostAllocPortable),
               std::to_string(bytes) + " bytes of page-locked host memory");
    return {.data = static_cast<std::byte*>(data), .bytes = bytes};
  }
  void release(const Block& block) noexcept override { cudaFreeHost(block.data); }
};

}  // namespace

std::shared_ptr<DeviceBackend> make_cuda_backend(int index, bool poison) {
  return std::make_shared<CudaHeap>(index, poison);
}
std::shared_ptr<DeviceBackend> make_cuda_backend(int index, const MemoryPlan& plan) {
  return std::make_shared<CudaArena>(index, plan);
}
std::shared_ptr<DeviceBackend> make_staging_backend() { return std::make_shared<StagingBackend>(); }

}  // namespace fusor
