#pragma once
#include "parallel/job.h"
#include "parallel/schedule_builder.h"

namespace fusor::testing {

// The actions of a schedule as a job: stages of one operator a phase (F of one flop, B of two, or B
// and W of one each), which sum a value over tp where there is one, and messages between them.
Job scheduled_job(const Schedule&, const StageGraph&, const MeshShape&);

}  // namespace fusor::testing
