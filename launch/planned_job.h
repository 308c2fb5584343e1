#pragma once
#include "launch/rehearsal.h"
#include "parallel/job.h"
#include "parallel/simulator.h"

namespace fusor {

// A run of all ranks, rehearsed.
struct PlannedJob {
  Job step;           // of the optimizer; without set-up, evaluation and samples
  Rehearsal fullest;  // of the rank whose arena is largest
  int rank = 0;       // that rank
};

// Rehearses one rank of each pipeline place: the others of the place do the same work on the same
// shapes.
PlannedJob plan_job(const Config& config, const RunSize& size);

StepWork work_of(const Config& config, const RunSize& size);

}  // namespace fusor
