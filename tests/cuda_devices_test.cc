// What a person is told of GPUs that Fusor cannot use. No device is needed.
#include "runtime/cuda_devices.h"

#include <gmock/gmock.h>

#include <cstdlib>

#include "runtime/cuda.h"
#include "tests/thrown_by.h"

namespace fusor {
namespace {

using testing::EndsWith;
using testing::HasSubstr;

const CudaDevices::Gpu kOld{.name = "Tesla V100",
                            .uuid = "GPU-1",
                            .major = 7,
                            .minor = 0,
                            .bytes = 16,
                            .multiprocessors = 80,
                            .refused = ""},
    kNew{.name = "NVIDIA H200",
         .uuid = "GPU-2",
         .major = 9,
         .minor = 0,
         .bytes = 141,
         .multiprocessors = 132,
         .refused = ""};

TEST(CudaDevices, ThatAreNotThere) {
  EXPECT_EQ(why_no_gpu(cudaErrorInsufficientDriver, /*driver=*/0),
            "no NVIDIA driver is installed on this host");
  const std::string old = why_no_gpu(cudaErrorInsufficientDriver, 11040);
  EXPECT_THAT(old, HasSubstr("the NVIDIA driver of this host supports CUDA 11.4, but Fusor was "
                             "built with CUDA "));
  EXPECT_THAT(old, EndsWith(": update the driver"));
  EXPECT_EQ(why_no_gpu(cudaErrorNoDevice, 13000),
            "the NVIDIA driver shows no GPU (CUDA_VISIBLE_DEVICES hides those it does not name)");
  EXPECT_THAT(why_no_gpu(cudaErrorUnknown, 13000), HasSubstr("the NVIDIA driver answers: "));
}

TEST(CudaDevices, ThatAreNotForFusor) {
  EXPECT_EQ(why_refused(kOld, false),
            "Tesla V100 has compute capability 7.0, but Fusor needs 8.0 or later");
  EXPECT_EQ(why_refused(kNew, false), "");
  EXPECT_EQ(why_refused(kNew, true), "NVIDIA H200 is in compute mode Prohibited");
}

TEST(CudaDevices, ThatCannotBeTaken) {
  EXPECT_EQ(why_not_taken(kNew, cudaErrorDevicesUnavailable),
            "is taken by another process, and its compute mode lets one alone use it");
  EXPECT_EQ(why_not_taken(kNew, cudaErrorNoKernelImageForDevice),
            "has compute capability 9.0, which Fusor was not built for: set "
            "CMAKE_CUDA_ARCHITECTURES");
  EXPECT_EQ(why_not_taken(kNew, cudaErrorMemoryAllocation),
            "has not even the memory to begin with");
  EXPECT_THAT(why_not_taken(kNew, cudaErrorUnknown), HasSubstr("cannot be used: "));
}

TEST(CudaDevices, AreAskedForAQueueForEachStream) {
  cuda_devices();
  EXPECT_TRUE(std::getenv("CUDA_DEVICE_MAX_CONNECTIONS"));
}

TEST(CudaDevices, AreNamedByTheirPlace) {
  const auto beyond = static_cast<int>(cuda_devices().gpus.size());
  const std::string why = cuda_devices().why_none;
  EXPECT_EQ(
      thrown_by([&] { use_cuda_device(beyond); }),
      why.empty() ? "no GPU " + std::to_string(beyond) + " among " + std::to_string(beyond) : why);
}

}  // namespace
}  // namespace fusor
