#include "runtime/mpi_transport.h"

#include <gtest/gtest.h>

#include "runtime/cuda_devices.h"
#include "runtime/staged_transport.h"
#include "tests/mpi_world.h"
#include "tests/transport_rows.h"

namespace fusor {
namespace {

TEST(MpiTransport, Rows) {
  for (const TransportRow& row : kTransportRows) {
    SCOPED_TRACE(row.name);
    row.body(DeviceGroup(test_world().group()));
  }
}

// Counts beyond what MPI can express go in pieces: here beyond 100,000.
TEST(MpiTransport, RowsInPieces) {
  const Group pieces(mpi_transport(MPI_COMM_WORLD, "pieces", 100'000));
  for (const TransportRow& row : kTransportRows) {
    SCOPED_TRACE(row.name);
    row.body(DeviceGroup(pieces));
  }
}

// Through host memory, from a GPU that all ranks share where there is one, else from a heap.
TEST(MpiTransport, StagedRows) {
  const int gpu = cuda_device_of(test_world().local_rank());
  const Device device =
      gpu < 0 ? Device::heap(/*poison=*/true) : Device::cuda(gpu, /*poison=*/true);
  const Group group = staged(test_world().group(), device);
  for (const TransportRow& row : kTransportRows) {
    SCOPED_TRACE(row.name);
    row.body(DeviceGroup(group, device));
  }
}

// progress() is called from destructors, where an error would end the process without a word.
TEST(MpiTransport, ProgressLeavesErrorsToWait) {
  const Group& g = test_world().group();
  const int next = (g.rank() + 1) % g.size(), last = (g.rank() + g.size() - 1) % g.size();
  Pending received = g->recv(Tensor({5}, DType::f32), last, "short");
  g->send(Tensor({3}, DType::f32), next, "short").wait();
  g->barrier("sent");
  for (int i = 0; i < 1000; ++i) g->progress();
  try {
    received.wait();
    ADD_FAILURE() << "a message of another size";
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()),
              "recv \"short\" over world: rank " + std::to_string(last) + " sent 12 bytes, not 20");
  }
}

}  // namespace
}  // namespace fusor
