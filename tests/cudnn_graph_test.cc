#include <dlfcn.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "ops/attention_cudnn_graph.h"
#include "ops/conv2d_cudnn_graph.h"
#include "ops/cudnn.h"

namespace fusor::ops {
namespace {

// The GPUs as cuDNN serialises them; nothing here needs one.
std::string gpu(int capability, int multiprocessors, int shared_memory) {
  const std::string version = std::to_string(10 * capability);
  return R"({"deviceName":"GPU","cudaDeviceId":0,"driverVer":13000,"deviceVer":)" + version +
         R"(,"smVersion":)" + version + R"(,"multiProcessorCount":)" +
         std::to_string(multiprocessors) + R"(,"maxSharedMemoryPerBlockOptin":)" +
         std::to_string(shared_memory) +
         R"(,"maxGridSize":[2147483647,65535,65535],"maxBlockSize":[1024,1024,64],
             "totalGlobalMem":80000000000,"regsPerBlock":65536,"warpSize":32,
             "maxSharedMemoryPerBlock":49152,"reservedSharedMemoryPerBlock":1024,
             "maxRegistersPerSM":65536,"pciDeviceId":0,"maxCtasPerSM":32,
             "maxThreadsPerBlock":1024,"maxThreadsPerSM":2048,"isTccDriver":0,
             "supportCoopLaunch":1,"smClockRateKHz":1500000,"memClockRateKHz":2000000,
             "l2CacheSize":41943040})";
}

// Finds cuDNN, or skips.
template <class Test>
class WithCudnn : public Test {
 protected:
  void SetUp() override {
    try {
      version_ = cudnn().version;
    } catch (const std::exception& error) {
      GTEST_SKIP() << error.what();
    }
  }
  int version_ = 0;
};

class CudnnGraph : public WithCudnn<testing::TestWithParam<std::tuple<DType, AttentionPass>>> {
 protected:
  void check(const std::string& device, int capability, const AttentionShape& s) const {
    const auto [dtype, pass] = GetParam();
    check_attention_graph(device, {version_, capability}, dtype, s, pass);
  }
};
class CudnnConvolutions : public WithCudnn<testing::Test> {};

TEST_P(CudnnGraph, CudnnAcceptsEveryDescriptor) {
  const std::string ampere = gpu(80, 108, 166912), hopper = gpu(90, 132, 232448),
                    blackwell = gpu(100, 148, 232448);
  for (const AttentionShape& s :
       {AttentionShape{8, 1024, 12, 12, 64}, AttentionShape{2, 8192, 32, 8, 128},
        AttentionShape{2, 1000, 25, 5, 64}, AttentionShape{1, 130, 4, 1, 80},
        AttentionShape{8, 197, 12, 12, 64, false}, AttentionShape{4, 64, 8, 8, 96, false, 500}}) {
    EXPECT_NO_THROW(check(ampere, 80, s)) << s.seq_len;
    EXPECT_NO_THROW(check(hopper, 90, s)) << s.seq_len;
    EXPECT_NO_THROW(check(blackwell, 100, s)) << s.seq_len;
  }
}

TEST_P(CudnnGraph, CudnnRefusesRowsThatAreNotAligned) {
  const AttentionShape s{1, 128, 4, 4, 20};
  EXPECT_ANY_THROW(check(gpu(90, 132, 232448), 90, s));
}

TEST_P(CudnnGraph, CudnnFrontendIsToldOfACudaRuntimeThatIsLoaded) {
  check(gpu(90, 132, 232448), 90, {1, 128, 4, 4, 64});
  const char* const file = std::getenv("CUDNN_FRONTEND_CUDART_LIB_NAME");
  ASSERT_TRUE(file);
  EXPECT_TRUE(::dlopen(file, RTLD_NOW | RTLD_NOLOAD)) << file;
}

using kernels::Conv2dCall;
using kernels::Conv2dPass;

TEST_F(CudnnConvolutions, AreAccepted) {
  const std::string hopper = gpu(90, 132, 232448);
  // n h w c, k r s, p q, stride before after dilation, groups
  const kernels::Conv2dShape whole{8,  56, 56,     64,     64,     3,      3,
                                   56, 56, {1, 1}, {1, 1}, {1, 1}, {1, 1}, 1},
      strided{8, 224, 224, 8, 64, 7, 7, 112, 112, {2, 2}, {3, 3}, {3, 3}, {1, 1}, 1},
      depthwise{4, 14, 14, 64, 64, 3, 3, 14, 14, {1, 1}, {2, 2}, {2, 2}, {2, 2}, 64};
  for (const kernels::Conv2dShape& s : {whole, strided, depthwise})
    for (const DType dtype : {DType::f32, DType::bf16, DType::f16})
      for (const Conv2dCall& call :
           {Conv2dCall{Conv2dPass::forward, dtype, true, true, false, s},
            Conv2dCall{Conv2dPass::data, dtype, false, false, false, s},
            Conv2dCall{Conv2dPass::weights, dtype, false, false, false, s}})
        EXPECT_NO_THROW(check_conv2d_graph(hopper, {version_, 90}, call))
            << s.c << " " << dtype << " " << static_cast<int>(call.pass);
}

INSTANTIATE_TEST_SUITE_P(Passes, CudnnGraph,
                         testing::Combine(testing::Values(DType::bf16, DType::f16),
                                          testing::Values(AttentionPass::forward,
                                                          AttentionPass::backward)),
                         [](const auto& info) {
                           const bool forward = std::get<1>(info.param) == AttentionPass::forward;
                           return std::string(name_of(std::get<0>(info.param))) +
                                  (forward ? "Forward" : "Backward");
                         });

}  // namespace
}  // namespace fusor::ops
