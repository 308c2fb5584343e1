#include "runtime/nccl_job.h"

#include <thread>
#include <utility>

#include "runtime/nccl_channel.h"

namespace fusor {

NcclJob::NcclJob(const NcclLibrary& library, Group host, const Device& device,
                 std::chrono::duration<double> patience)
    : library_(library), host_(std::move(host)), device_(device), patience_(patience) {}

bool NcclJob::capturing() const {
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  check_cuda(cudaStreamIsCapturing(compute(), &status), "cudaStreamIsCapturing");
  return status != cudaStreamCaptureStatusNone;
}

void NcclJob::look_after() {
  guard([&] {
    host_->require_peers();
    const bool watches = !capturing();  // events must not be asked for during a capture
    for (NcclChannel* channel : channels_) {
      if (watches) channel->watch();
      channel->advance();
    }
  });
}

void NcclJob::advance() noexcept {
  if (failure_) return;
  try {
    guard([&] {
      for (NcclChannel* channel : channels_)
        if (!channel->idle()) channel->advance();
    });
  } catch (...) {  // kept by guard
  }
}

void NcclJob::abandon() noexcept {
  if (!failure_)
    fail(std::make_exception_ptr(
        Error("the NCCL calls of this rank were given up", std::source_location::current())));
}

void NcclJob::require_healthy() const {
  if (failure_) std::rethrow_exception(failure_);
}

void NcclJob::fail(std::exception_ptr failure) noexcept {
  failure_ = std::move(failure);
  std::vector<ncclComm_t> comms;
  for (NcclChannel* channel : channels_)
    if (ncclComm_t comm = channel->give_up()) comms.push_back(comm);
  // As a group, which NCCL ends all at once from 2.22 on: an abort frees memory, for which CUDA
  // waits for the kernels of the other channels (https://github.com/NVIDIA/nccl/issues/1013).
  const auto abort = [&library = library_, comms] {
    library.group_start();
    for (ncclComm_t comm : comms) library.comm_abort(comm);
    library.group_end();
  };
  // It ends the kernels, and then waits until the graphs that have some are destroyed, which they
  // are as the failure unwinds (https://github.com/vllm-project/vllm/pull/39846).
  part_of_graph_ ? std::thread(abort).detach() : abort();
}

CudaEvent NcclJob::take_event() {
  if (events_.empty()) return make_event();
  CudaEvent event = std::move(events_.back());
  events_.pop_back();
  return event;
}

}  // namespace fusor
