#pragma once
#include "nccl.h"

// What tests set of, and ask about, the emulated NCCL.
namespace fusor::emulator {

// From now on the communicators of this thread have this asynchronous error; ncclSuccess: none.
void fail_nccl(ncclResult_t);

struct NcclCounts {
  int made = 0, destroyed = 0, aborted = 0;  // communicators, by rank
};
NcclCounts nccl_counts();  // since the start of the process

}  // namespace fusor::emulator
