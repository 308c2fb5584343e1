#pragma once
#include "launch/rehearsal.h"
#include "parallel/job.h"
#include "parallel/simulator.h"

namespace fusor {

// A run of all ranks, rehearsed.
struct PlannedJob {
  Job job;            // all of it: set-up, a step, evaluation and samples
  Job step;           // of the optimizer, alone: one for each shape of micro-batches
  Rehearsal fullest;  // of the rank whose arena is largest
  int rank = 0;       // that rank
};

// Rehearses every rank of at most `all_of` and, of more, one of each pipeline place, a fullest: the
// others of the place do the same on the same shapes, but that parallel.reduce = exact may ask them
// for less memory.
PlannedJob plan_job(const Task& task, const Config& config, const RunSize& size, int all_of = 0);
// Of the config's own task.
PlannedJob plan_job(const Config& config, const RunSize& size, int all_of = 0);

StepWork work_of(const Config& config, const RunSize& size);

}  // namespace fusor
