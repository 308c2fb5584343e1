#include <nvtx3/nvToolsExt.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "emulated/control.h"
#include "tests/emulator/block.h"
#include "tests/emulator/machine.h"

namespace fusor::emulator {
namespace {

thread_local std::optional<Fault> last_fault;  // for the text, until the next
thread_local cudaError_t last_error = cudaSuccess;

std::size_t number(const char* variable, std::size_t otherwise) {
  const char* const text = std::getenv(variable);
  return text && *text ? std::strtoull(text, nullptr, 10) : otherwise;
}

// Nothing that could run or wait may be called while a capture watches this thread.
void refuse_during_capture(Machine& m) {
  bool refused = false;
  for (const auto& capture : m.captures)
    if (capture->mode == cudaStreamCaptureModeGlobal ||
        (capture->mode == cudaStreamCaptureModeThreadLocal &&
         capture->thread == std::this_thread::get_id())) {
      capture->valid = false;
      refused = true;
    }
  if (refused)
    fail(cudaErrorStreamCaptureUnsupported, "a call that is not allowed during a stream capture");
}

}  // namespace

Machine::Machine()
    : gpus(number("FUSOR_EMULATED_GPUS", 1)),
      most_shared(std::min(number("FUSOR_EMULATED_SHARED", kMostShared), kMostShared)) {
  for (std::size_t i = 0; i < gpus.size(); ++i) {
    gpus[i].capacity = number("FUSOR_EMULATED_MEMORY", std::size_t{4} << 30);
    gpus[i].null_stream = std::make_shared<CUstream_st>();
    gpus[i].null_stream->device = static_cast<int>(i);
    gpus[i].streams.push_back(gpus[i].null_stream);
  }
  const char* const order = std::getenv("FUSOR_EMULATOR_ORDER");
  reversed = order && std::strcmp(order, "reverse") == 0;
}

Machine& machine() {
  static Machine* const it = new Machine;  // outlives the static objects of tests
  return *it;
}

void fail(cudaError_t code, const std::string& text) { throw Fault{code, text}; }
void expect(bool ok, const std::string& text) {
  if (!ok) fail(cudaErrorInvalidValue, text);
}

cudaError_t remembered(const Fault& fault) {
  last_fault = fault;
  last_error = fault.code;
  return fault.code;
}

cudaError_t call(During during, const std::function<void(Machine&)>& body) try {
  Machine& m = machine();
  for (;; std::this_thread::yield()) {  // without the lock: other ranks queue what is waited for
    const std::lock_guard lock(m.lock);
    if (Gpu& gpu = current_gpu(m); gpu.broken) throw *gpu.broken;
    if (during == During::refused) refuse_during_capture(m);
    try {
      body(m);
      return cudaSuccess;
    } catch (const NotReady&) {
      run_what_can(m);
    }
  }
} catch (const Fault& fault) {
  return remembered(fault);
}

void reverse_order(bool on) {
  Machine& m = machine();
  const std::lock_guard lock(m.lock);
  m.reversed = on;
}
void set_memory(std::size_t bytes) {
  Machine& m = machine();
  const std::lock_guard lock(m.lock);
  current_gpu(m).capacity = bytes;
}

}  // namespace fusor::emulator

using namespace fusor::emulator;

cudaError_t cudaGetLastError() { return std::exchange(last_error, cudaSuccess); }
cudaError_t cudaPeekAtLastError() { return last_error; }

const char* cudaGetErrorString(cudaError_t code) {
  if (code == cudaSuccess) return "no error";
  if (last_fault && last_fault->code == code) return last_fault->text.c_str();
  return cudaGetErrorName(code);
}

const char* cudaGetErrorName(cudaError_t code) {
#define NAME(name) \
  case name:       \
    return #name
  switch (code) {
    NAME(cudaSuccess);
    NAME(cudaErrorInvalidValue);
    NAME(cudaErrorMemoryAllocation);
    NAME(cudaErrorInvalidConfiguration);
    NAME(cudaErrorInsufficientDriver);
    NAME(cudaErrorDevicesUnavailable);
    NAME(cudaErrorInvalidDeviceFunction);
    NAME(cudaErrorNoDevice);
    NAME(cudaErrorInvalidDevice);
    NAME(cudaErrorNoKernelImageForDevice);
    NAME(cudaErrorInvalidResourceHandle);
    NAME(cudaErrorNotReady);
    NAME(cudaErrorIllegalAddress);
    NAME(cudaErrorLaunchFailure);
    NAME(cudaErrorNotSupported);
    NAME(cudaErrorStreamCaptureUnsupported);
    NAME(cudaErrorStreamCaptureInvalidated);
    NAME(cudaErrorStreamCaptureMerge);
    NAME(cudaErrorStreamCaptureUnmatched);
    NAME(cudaErrorStreamCaptureUnjoined);
    NAME(cudaErrorStreamCaptureIsolation);
    NAME(cudaErrorCapturedEvent);
    NAME(cudaErrorStreamCaptureWrongThread);
    NAME(cudaErrorUnknown);
  }
#undef NAME
  return "unrecognized error code";
}
