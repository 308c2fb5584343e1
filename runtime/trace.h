#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "runtime/device.h"
#include "runtime/dtype.h"

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
struct CommEvent {
  std::string kind;   // "all_reduce"
  std::string name;   // what for: "gradients/bucket.0"
  std::string group;  // the communicator: "dp"
  DType dtype;
  std::int64_t count;  // elements of this rank's operand
  int peer;            // of send and recv, the root of broadcast, else -1
};
struct ProgramEvent {
  std::string name;
  bool begin;
};
using TraceEvent = std::variant<AllocEvent, ReleaseEvent, OpEvent, CommEvent, ProgramEvent>;

struct Trace {
  std::vector<TraceEvent> events;
};

}  // namespace fusor
