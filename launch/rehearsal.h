#pragma once
#include "launch/batch.h"
#include "launch/config.h"
#include "launch/task.h"
#include "parallel/ledger.h"
#include "runtime/memory_plan.h"
#include "runtime/trace.h"

namespace fusor {

// A rank's run, played on a device that holds only shapes: one optimizer step for each shape of
// micro-batches, and one evaluation and one sample where the recipe asks for them. It stands for
// the backend that train.device names, whose kernels it asks for their workspaces; auto: the CPU.
struct Rehearsal {
  Trace trace;
  MemoryPlan memory;
  Ledger ledger;
  int steps = 1;  // in the trace
};
Rehearsal rehearse(const Task& task, const Config& config, const RunSize& size, int rank);
// Of the config's own task.
Rehearsal rehearse(const Config& config, const RunSize& size, int rank);

// What a device reaches (the CPU with this process's threads): matrix products of a dtype, and
// streaming memory. Measured in less than a second.
struct MachineRates {
  double flops_per_second = 0, bytes_per_second = 0;
};
MachineRates measure_machine(DType dtype, const Device& device = Device());

// Floating-point operations of the operators of all steps in a trace.
double flops_of_steps(const Trace& trace);

// Seconds of the operators of all steps in a trace, each at the lower of the two rates (the
// roofline of Williams et al., CACM 2009). Waiting for other ranks is not in it.
double estimate_step_seconds(const Trace& trace, const MachineRates& rates);

}  // namespace fusor
