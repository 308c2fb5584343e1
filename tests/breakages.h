#pragma once
#include <string>

#include "parallel/job.h"

namespace fusor::testing {

// What the verifier says of a job; "" where it passes.
std::string failure_of(const Job&, std::size_t limit = 0);

// Breaks a valid job, which has a script for each rank, in every way that it has a spot for: a call
// dropped, changed, swapped or not waited for, memory freed too early, an entry of a schedule
// removed, duplicated or out of order; each `trials` times on a rank and a spot drawn at random.
// Expects the verifier to catch each and to name the rank and the spot. Returns how many there
// were.
int expect_breakages_caught(const std::string& name, const Job& job, int trials);

}  // namespace fusor::testing
