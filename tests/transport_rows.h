#pragma once
#include <vector>

#include "runtime/transport.h"

namespace fusor {

// A group, and where the tensors lie that its ranks exchange.
struct DeviceGroup : Group {
  explicit DeviceGroup(Group group, Device on = Device())
      : Group(std::move(group)), device(std::move(on)) {}
  Device device;
};

// One table of cases that every transport passes, with any number of ranks: alone and as threads in
// transport_test, under mpirun in mpi_transport_test, on GPUs in device_transport_test.
struct TransportRow {
  const char* name;
  void (*body)(const DeviceGroup&);
};
extern const std::vector<TransportRow> kTransportRows;

}  // namespace fusor
