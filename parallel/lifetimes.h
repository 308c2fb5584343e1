#pragma once
#include <cstddef>
#include <string>

#include "parallel/job.h"

namespace fusor {

// The most a script has alive at once, and where.
struct Peak {
  std::size_t bytes = 0;
  std::string where;  // " in stage.1.B of micro-batch 3"
};

// Follows the memory of a script through its runs. Throws Error, which begins with `who`, where
// something is freed that is not there or that a call in flight still needs, is allocated again
// while it is there, is handed to a call when it is gone, or outlives its micro-batch.
Peak check_lifetimes(const Script&, const std::string& who);

}  // namespace fusor
