#pragma once
#include <cuda_runtime.h>

#include <chrono>
#include <exception>
#include <memory>
#include <string>
#include <vector>

#include "runtime/cuda.h"
#include "runtime/nccl_library.h"
#include "runtime/transport.h"

// Inside of the nccl transport: what the groups of one device share.
namespace fusor {

class NcclChannel;

// Moves the channels of this rank on, and ends all of them when one fails: a kernel of NCCL that
// waits for a peer that is gone would hold the GPU for ever.
class NcclJob {
 public:
  // host: all ranks, to learn of their failures from. A call that has been on the GPU, or a
  // communicator in the making, for more than `patience` while the host waits is a failure.
  NcclJob(const NcclLibrary& library, Group host, const Device& device,
          std::chrono::duration<double> patience);
  NcclJob(const NcclJob&) = delete;
  NcclJob& operator=(const NcclJob&) = delete;

  const NcclLibrary& library() const { return library_; }
  const Device& device() const { return device_; }
  cudaStream_t compute() const { return device_.backend().stream(); }
  bool capturing() const;  // whether the device's work is being kept for a graph
  void is_part_of_graph() { part_of_graph_ = true; }  // a call is

  // Runs step(); what it throws is this rank's failure, and is thrown on.
  template <class F>
  void guard(F&& step) {
    require_healthy();
    try {
      step();
    } catch (...) {
      fail(std::current_exception());
      throw;
    }
  }
  // What a host does again and again that waits for the device or for a call. Throws the failure.
  void look_after();
  // The least of it, between operators: issues calls that could not be issued before. The next
  // call or wait throws the failure.
  void advance() noexcept;
  // Ends all channels: the device's streams run dry, but calls are not complete.
  void abandon() noexcept;

  std::chrono::duration<double> patience() const { return patience_; }
  CudaEvent take_event();
  void give_back(CudaEvent event) { events_.push_back(std::move(event)); }

 private:
  friend class NcclChannel;  // which enters itself
  void require_healthy() const;
  void fail(std::exception_ptr failure) noexcept;

  const NcclLibrary& library_;
  Group host_;
  Device device_;
  std::chrono::duration<double> patience_;
  std::vector<NcclChannel*> channels_;
  std::vector<CudaEvent> events_;  // not in use
  bool part_of_graph_ = false;
  std::exception_ptr failure_;
};

// nccl_group() with another library, and another patience.
Group nccl_group(const Group& host, const Device& device, const NcclLibrary& library,
                 std::chrono::duration<double> patience);

}  // namespace fusor
