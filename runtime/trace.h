#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "runtime/device.h"
#include "runtime/dtype.h"
#include "runtime/transport.h"

namespace fusor {

// What one rank did on the meta device, in order: the result of a rehearsal, from which memory
// plan, ledger, planned collectives and step time are computed. A plain value.
struct AllocEvent {
  std::uint64_t id;
  std::size_t bytes;
  Owner owner;
  std::string scope;
};
struct ReleaseEvent {
  std::uint64_t id;
};
struct OpEvent {
  std::string op;
  std::string scope;
  Cost cost;
};
// A call begun. Groups of one never communicate, so they leave no event.
struct CommEvent {
  std::uint64_t id;  // of the call, for its WaitEvent; from 1, of its own in the trace
  CommKind kind;
  std::string name;   // what for: "gradients/bucket.0"
  std::string scope;  // the layer that calls, if any
  std::string group;  // the communicator: "dp"
  int group_size;
  int place;  // this rank's in the group
  int peer;   // a place in the group: of send and recv, the root of broadcast, else -1
  DType dtype;
  std::int64_t count;             // elements of this rank's `in`
  ReduceOp op;                    // of all_reduce
  std::uint64_t in = 0, out = 0;  // allocations of the operands; 0 for none
};
// The rank waits until the call is complete, for itself: results may be read, operands reused.
struct WaitEvent {
  std::uint64_t id;  // of the CommEvent
};
// A program begins or ends; see DeviceBackend::program_begin.
struct ProgramEvent {
  std::string name;
  bool begin;
  int micro = -1;  // the micro-batch it works on; -1: none
};
// A program that the trace has already runs again, for another micro-batch.
struct RepeatEvent {
  std::string name;
  int micro;
};
using TraceEvent = std::variant<AllocEvent, ReleaseEvent, OpEvent, CommEvent, WaitEvent,
                                ProgramEvent, RepeatEvent>;

struct Trace {
  std::vector<TraceEvent> events;
  std::uint64_t calls = 0;  // CommEvents so far: the last id
};

}  // namespace fusor
