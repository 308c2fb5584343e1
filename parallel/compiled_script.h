#pragma once
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "parallel/job_index.h"
#include "parallel/play.h"

namespace fusor {

// A script as the engine walks it: what takes no part in the play is left out, and what is the same
// in all runs is worked out once.
struct CompiledScript {
  struct Step {
    enum class Kind : std::uint8_t { compute, call, wait } kind;
    std::uint32_t index;  // of computes, of calls, or the id that is waited for
  };
  struct Compute {
    const TraceEvent* event;  // the first, where several were merged
    double seconds;
    double issue;  // seconds of the host
  };
  struct Call {
    const TraceEvent* traced;
    const CommEvent* event;  // the same
    int communicator;
    int offset;  // see offset_of; 0 of collectives
    int kind;    // index of kinds
    double issue;
  };
  struct Kind {
    std::string group;
    CommKind kind;
  };

  const Script* script = nullptr;
  std::vector<std::vector<Step>> programs;
  std::vector<Compute> computes;
  std::vector<Call> calls;
  std::vector<Kind> kinds;  // of calls on one communicator
};

// Ops are left out without a clock, and merged where no call stands between them unless `each_op`.
CompiledScript compile(const Script&, const JobIndex&, Clock*, bool each_op);

// "block.1/attn/join": the layer and the purpose.
std::string label_of(const CommEvent&);
// 'all_reduce "block.1/attn/join" of 64 f32'.
std::string describe(const CommEvent&);
// " in stage.1.F of micro-batch 3", or less where there is less to say.
std::string where(const TraceProgram&, int micro);

}  // namespace fusor
