#include <nvtx3/nvToolsExt.h>

#include <sstream>

#include "tests/emulator/block.h"
#include "tests/emulator/machine.h"

namespace fusor::emulator {
namespace {

thread_local std::vector<std::string> ranges;

std::ostream& operator<<(std::ostream& out, dim3 d) {
  return out << d.x << " x " << d.y << " x " << d.z;
}

// "a kernel of rms_norm, 4 x 1 x 1 blocks of 256 x 1 x 1 threads"
std::string described(const cudaLaunchConfig_t& config) {
  std::ostringstream text;
  text << "a kernel";
  if (!ranges.empty()) text << " of " << ranges.back();
  text << ", " << config.gridDim << " blocks of " << config.blockDim << " threads";
  return text.str();
}

void check(const Machine& m, const cudaLaunchConfig_t& config, const void* kernel) {
  const auto refuse = [&](bool bad, cudaError_t code, const char* why) {
    if (bad) fail(code, described(config) + ": " + why);
  };
  const dim3 grid = config.gridDim, block = config.blockDim;
  const auto product = [](dim3 d) { return std::uint64_t{d.x} * d.y * d.z; };
  refuse(product(block) == 0 || product(block) > kMostThreads || block.z > 64,
         cudaErrorInvalidConfiguration, "a block has 1 to 1024 threads");
  refuse(product(grid) == 0 || grid.x > 0x7fffffffu || grid.y > 65535 || grid.z > 65535,
         cudaErrorInvalidConfiguration, "such a grid is not possible");
  refuse(config.numAttrs != 0, cudaErrorNotSupported, "launch attributes are not emulated");
  const auto asked = m.shared_of_kernel.find(kernel);
  const std::size_t most =
      asked == m.shared_of_kernel.end() ? kSharedUnasked : std::max(asked->second, kSharedUnasked);
  refuse(config.dynamicSmemBytes > most, cudaErrorInvalidValue,
         "more shared memory than cudaFuncSetAttribute has allowed");
}

}  // namespace

cudaError_t launch(const cudaLaunchConfig_t& config, const void* kernel,
                   std::function<void()> thread) {
  return call(During::allowed, [&](Machine& m) {
    check(m, config, kernel);
    CUstream_st& stream = stream_of(m, config.stream);
    if (stream.device != current_device())
      fail(cudaErrorInvalidResourceHandle, described(config) + ": a stream of another device");
    queue(stream, [&m, config, thread = std::move(thread), name = described(config)] {
      try {
        run_grid(config.gridDim, config.blockDim, config.dynamicSmemBytes, thread, m.reversed);
      } catch (const KernelFault& fault) {
        fail(cudaErrorLaunchFailure, name + ": " + fault.what());
      }
    });
  });
}

}  // namespace fusor::emulator

using namespace fusor::emulator;

cudaError_t cudaFuncSetAttribute(const void* kernel, cudaFuncAttribute attribute, int value) {
  return call(During::allowed, [=](Machine& m) {
    if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize) return;
    expect(value >= 0 && static_cast<std::size_t>(value) <= m.most_shared,
           std::to_string(value) + " bytes of shared memory for a block");
    m.shared_of_kernel[kernel] = static_cast<std::size_t>(value);
  });
}

// What is known of it: the operator that it is for.
cudaError_t cudaFuncGetName(const char** name, const void*) {
  *name = ranges.empty() ? "without a name" : ranges.back().c_str();
  return cudaSuccess;
}

int nvtxRangePushA(const char* name) {
  ranges.emplace_back(name);
  return static_cast<int>(ranges.size()) - 1;
}
int nvtxRangePop() {
  ranges.pop_back();
  return static_cast<int>(ranges.size());
}
