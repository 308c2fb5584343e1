#pragma once
#include "launch/batch.h"
#include "launch/config.h"
#include "parallel/ledger.h"
#include "runtime/memory_plan.h"
#include "runtime/trace.h"

namespace fusor {

// A rank's run, played on a device that holds only shapes: one optimizer step, and one evaluation
// and one sample where the recipe asks for them.
struct Rehearsal {
  Trace trace;
  MemoryPlan memory;
  Ledger ledger;
};
Rehearsal rehearse(const Config& config, const RunSize& size, int rank);

// What this machine's cores reach with this process's threads: matrix products of a dtype, and
// streaming memory. Measured in a tenth of a second.
struct MachineRates {
  double flops_per_second = 0, bytes_per_second = 0;
};
MachineRates measure_machine(DType dtype);

// Seconds of a step's operators, each at the lower of the two rates (the roofline of Williams et
// al., CACM 2009). Waiting for other ranks is not in it.
double estimate_step_seconds(const Trace& trace, const MachineRates& rates);

}  // namespace fusor
