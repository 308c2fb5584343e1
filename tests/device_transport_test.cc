#include <gtest/gtest.h>

#include <cstdlib>

#include "runtime/copy.h"
#include "runtime/cuda_devices.h"
#include "runtime/nccl_transport.h"
#include "runtime/staged_transport.h"
#include "runtime/world.h"
#include "tests/cuda_gpu.h"
#include "tests/transport_rows.h"

namespace fusor {
namespace {

// One for each rank, where they are emulated.
const int kGpus = setenv("FUSOR_EMULATED_GPUS", "3", 0);

constexpr int kRanks = 3;

void run_rows(Group (*over)(const Group&, const Device&)) {
  run_ranks(kRanks, [over](World& world) {
    const Device device = Device::cuda(cuda_device_of(world.rank()), /*poison=*/true);
    const Group group = over(world.group(), device);
    for (const TransportRow& row : kTransportRows) {
      SCOPED_TRACE(std::string(row.name) + " on rank " + std::to_string(world.rank()));
      row.body(DeviceGroup(group, device));
      row.body(DeviceGroup(group));
    }
  });
}

class DeviceTransports : public OnCuda {};

TEST_F(DeviceTransports, StagedRows) { run_rows(staged); }

// A result is copied from its buffer some time after the wait: the next must not come to lie there.
TEST_F(DeviceTransports, BuffersAreReadBeforeTheyAreWrittenAgain) {
  run_ranks(2, [](World& world) {
    const Device device = Device::cuda(cuda_device_of(world.rank()), /*poison=*/true);
    const Group group = staged(world.group(), device);
    constexpr int kMessages = 7;  // more than there are buffers
    const Tensor own({1}, DType::i32);
    std::vector<Tensor> got;
    for (int i = 0; i < kMessages; ++i) got.push_back(Tensor({1}, DType::i32, device));
    for (int i = 0; i < kMessages; ++i) {
      own.host<std::int32_t>()[0] = i;
      if (world.rank() == 0) world.group()->send(own, 1, "number").wait();
      if (world.rank() == 1) group->recv(got[static_cast<std::size_t>(i)], 0, "number").wait();
    }
    for (int i = 0; i < kMessages && world.rank() == 1; ++i)
      EXPECT_EQ(on_host(got[static_cast<std::size_t>(i)]).host<std::int32_t>()[0], i);
  });
}

TEST_F(DeviceTransports, NcclRows) {
  const std::string missing = why_no_nccl();
  if (!missing.empty()) GTEST_SKIP() << missing;
  if (std::ssize(cuda_devices().gpus) < kRanks) GTEST_SKIP() << "a GPU for each rank";
  run_rows(nccl_group);
}

}  // namespace
}  // namespace fusor
