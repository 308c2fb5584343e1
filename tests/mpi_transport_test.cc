#include "runtime/mpi_transport.h"

#include <gtest/gtest.h>

#include "tests/mpi_world.h"
#include "tests/transport_rows.h"

namespace fusor {
namespace {

TEST(MpiTransport, Rows) {
  for (const TransportRow& row : kTransportRows) {
    SCOPED_TRACE(row.name);
    row.body(test_world().group());
  }
}

// Counts beyond what MPI can express go in pieces: here beyond 100,000.
TEST(MpiTransport, RowsInPieces) {
  const Group pieces(mpi_transport(MPI_COMM_WORLD, "pieces", 100'000));
  for (const TransportRow& row : kTransportRows) {
    SCOPED_TRACE(row.name);
    row.body(pieces);
  }
}

}  // namespace
}  // namespace fusor
