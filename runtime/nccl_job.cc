#include "runtime/nccl_job.h"

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
  // As a group, which NCCL ends all at once from 2.22 on: an abort frees memory, for which CUDA
  // waits for the kernels of the other channels (https://github.com/NVIDIA/nccl/issues/1013).
  library_.group_start();
  for (NcclChannel* channel : channels_) channel->abort();
  library_.group_end();
}

CudaEvent NcclJob::take_event() {
  if (events_.empty()) return make_event();
  CudaEvent event = std::move(events_.back());
  events_.pop_back();
  return event;
}

}  // namespace fusor
