#pragma once
#include <gtest/gtest.h>

#include "runtime/cuda_devices.h"

namespace fusor {

// Tests of the CUDA backend are skipped, with the reason, where no GPU can be used.
class OnCuda : public testing::Test {
 protected:
  void SetUp() override {
    const CudaDevices& devices = cuda_devices();
    if (!devices.why_none.empty()) GTEST_SKIP() << devices.why_none;
    if (!devices.gpus[0].refused.empty()) GTEST_SKIP() << devices.gpus[0].refused;
  }
};

}  // namespace fusor
