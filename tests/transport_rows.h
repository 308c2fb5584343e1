#pragma once
#include <vector>

#include "runtime/transport.h"

namespace fusor {

// One table of cases that every transport passes, with any number of ranks: alone and as threads in
// transport_test, under mpirun in mpi_transport_test.
struct TransportRow {
  const char* name;
  void (*body)(const Group&);
};
extern const std::vector<TransportRow> kTransportRows;

}  // namespace fusor
