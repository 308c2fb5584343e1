#pragma once
#include "launch/batch.h"
#include "launch/config.h"
#include "parallel/ledger.h"
#include "runtime/memory_plan.h"
#include "runtime/trace.h"

namespace fusor {

// A rank's run, played on a device that holds only shapes: one optimizer step, and one evaluation
// and one sample where the recipe asks for them. It stands for the backend that train.device names,
// whose kernels it asks for their workspaces; auto: the CPU.
struct Rehearsal {
  Trace trace;
  MemoryPlan memory;
  Ledger ledger;
};
Rehearsal rehearse(const Config& config, const RunSize& size, int rank);

// What a device reaches (the CPU with this process's threads): matrix products of a dtype, and
// streaming memory. Measured in less than a second.
struct MachineRates {
  double flops_per_second = 0, bytes_per_second = 0;
};
MachineRates measure_machine(DType dtype, const Device& device = Device());

// Seconds of a step's operators, each at the lower of the two rates (the roofline of Williams et
// al., CACM 2009). Waiting for other ranks is not in it.
double estimate_step_seconds(const Trace& trace, const MachineRates& rates);

}  // namespace fusor
