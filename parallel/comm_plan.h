#pragma once
#include <string>

#include "parallel/job.h"
#include "runtime/trace.h"
#include "runtime/transport.h"

namespace fusor {

// What a rank will send, in order: one line a call, "17 all_reduce dp f32 6291456
// gradients/bucket.3".
std::string planned_collectives(const Trace&);
// The same of a job: the calls of each script's programs, its runs, and the ranks that have it.
std::string planned_collectives(const Job&);

// Throws Error where what a rank has rehearsed for itself has other calls than the script that the
// job gives it, with the first line that differs.
void require_part(const Job&, int rank, const Script& rehearsed);

// Compares a plan over the ranks by its hash: each must have planned the same job, in which ranks
// have their roles. Throws Error on all ranks when one has another than rank 0, with the first line
// that differs. Collective.
void require_same_collectives(const Group& world, const std::string& plan);

}  // namespace fusor
