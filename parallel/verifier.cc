#include "parallel/verifier.h"

#include "parallel/ledger.h"
#include "parallel/lifetimes.h"
#include "parallel/play.h"
#include "runtime/error.h"

namespace fusor {

Verified verify(const Job& job, std::size_t limit) {
  const Played played = play(job);
  Verified found{.ranks = job.size(), .colors = static_cast<int>(played.ranks.size())};
  for (const PlayedRank& rank : played.ranks) {
    for (const PlayedComm& comm : rank.comms) found.calls += comm.calls;
    const int number = job.script_of_rank[static_cast<std::size_t>(rank.rank)];
    const Script& script = job.scripts[static_cast<std::size_t>(number)];
    std::string who = "rank " + std::to_string(rank.rank);
    if (rank.num_ranks > 1) who += " (and " + std::to_string(rank.num_ranks - 1) + " like it)";
    const Peak peak = check_lifetimes(script, who);
    require(script.arena == 0 || peak.bytes <= script.arena, who, " has ", peak.bytes,
            " bytes alive at once", peak.where, ", more than its plan of ", script.arena);
    const std::size_t bytes = script.arena ? script.arena : peak.bytes;
    require(limit == 0 || bytes <= limit, who, " needs ", bytes, " bytes (", readable_bytes(bytes),
            "), fullest", peak.where, ", but has ", limit, " (", readable_bytes(limit), ')');
    if (bytes <= found.peak) continue;
    found.peak = bytes;
    found.fullest = rank.rank;
  }
  return found;
}

}  // namespace fusor
