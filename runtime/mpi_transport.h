#pragma once
#include <mpi.h>

#include <climits>
#include <memory>
#include <source_location>
#include <string>

#include "runtime/transport.h"

namespace fusor {

// Throws Error with MPI's text unless status is MPI_SUCCESS; `what` leads the message.
void check_mpi(int status, const std::string& what = "MPI",
               std::source_location at = std::source_location::current());

// Host memory over MPI, on a duplicate of `comm` so that no other traffic meets its own. Collective
// over comm. A rank calls it from the thread that joined MPI. Calls advance inside progress(),
// done() and wait() only. all_reduce of bf16 and f16 is summed in f32 but rounded at every hop,
// log2(size) to size times; reduce_scatter rounds once. Operands of more than `max_count` elements
// go in pieces: MPI counts are int, tests choose less.
std::unique_ptr<Transport> mpi_transport(MPI_Comm comm, std::string name, int max_count = INT_MAX);

}  // namespace fusor
