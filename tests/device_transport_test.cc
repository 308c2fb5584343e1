#include <gtest/gtest.h>

#include <cstdlib>

#include "runtime/cuda_devices.h"
#include "runtime/nccl_transport.h"
#include "runtime/staged_transport.h"
#include "runtime/world.h"
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

TEST(DeviceTransports, StagedRows) {
  if (cuda_device_of(0) < 0) GTEST_SKIP() << "no GPU";
  run_rows(staged);
}

TEST(DeviceTransports, NcclRows) {
  const std::string missing = why_no_nccl();
  if (!missing.empty()) GTEST_SKIP() << missing;
  if (std::ssize(cuda_devices().gpus) < kRanks) GTEST_SKIP() << "a GPU for each rank";
  run_rows(nccl_group);
}

}  // namespace
}  // namespace fusor
