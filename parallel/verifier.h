#pragma once
#include <cstddef>
#include <cstdint>
#include <string>

#include "parallel/job.h"

namespace fusor {

// What a verified job was found to be.
struct Verified {
  int ranks = 0, colors = 0;  // see color_ranks
  std::int64_t calls = 0;     // that one rank of each color makes
  std::size_t peak = 0;       // bytes of the fullest rank: its plan's, or what is alive at once
  int fullest = 0;            // that rank
};

// Proves of a job, before it runs, that
//  - every send meets its receive, and every collective its partners in the same order on every
//    communicator: of the same kind, layer and name, micro-batch, dtype, size, reduction and root
//    (of transfers: name, micro-batch, dtype and size);
//  - no ranks wait for each other in a cycle. No send is taken to be buffered: what passes also
//    runs with MPI's and NCCL's rendezvous. Where buffering would help, the message says so;
//  - every rank has the same micro-batches, and runs no program twice for one of them;
//  - every call that is begun is waited for;
//  - nothing is freed while a call is under way that reads or writes it, nor before a program that
//    still holds it, nor twice, and no micro-batch leaves memory behind;
//  - every rank's memory is at most `limit` bytes (0: not checked).
// Throws Error where one fails, in one sentence that names the ranks, the operations by layer, and
// what each side expected. Reads of freed memory within one program are not looked for: tensors are
// counted references there. 8 ranks take milliseconds; ranks that behave alike cost what one does.
Verified verify(const Job&, std::size_t limit = 0);

}  // namespace fusor
