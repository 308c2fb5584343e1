#pragma once
#include "parallel/job.h"

// Small jobs as a rehearsal would make them, one script a rank: a few layers, each step ended by a
// release of all it took.
namespace fusor::testing {

Job data_parallel_job(int dp);  // buckets of gradients sent during the backward pass
Job tensor_parallel_job(int tp, int dp = 1);
Job ring_job(int cp);     // keys and values go round a ring
Job sharded_job(int dp);  // weights gathered ahead of use, gradients scattered
// 1F1B of one program a phase and micro-batch, and an update; `blocking`: a send is waited for at
// once.
Job pipeline_job(int pp, int micros, int dp = 1, int tp = 1, bool blocking = false);

}  // namespace fusor::testing
