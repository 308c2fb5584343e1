#include "parallel/verifier.h"

#include <algorithm>
#include <set>
#include <vector>

#include "parallel/compiled_script.h"
#include "parallel/ledger.h"
#include "parallel/lifetimes.h"
#include "parallel/play.h"
#include "runtime/error.h"

namespace fusor {
namespace {

// Every rank has the same micro-batches, and runs no program twice for one of them.
void check_micros(const Job& job) {
  int micros = 0;
  for (const Script& script : job.scripts)
    for (const ProgramRun& run : script.runs) micros = std::max(micros, run.micro + 1);
  std::set<int> checked;  // scripts
  for (int rank = 0; rank < job.size(); ++rank) {
    const int number = job.script_of_rank[static_cast<std::size_t>(rank)];
    if (!checked.insert(number).second) continue;
    const Script& script = job.scripts[static_cast<std::size_t>(number)];
    std::set<std::pair<int, int>> seen;  // programs and micro-batches
    std::vector<bool> found(static_cast<std::size_t>(micros));
    for (const auto& [program, micro] : script.runs) {
      if (micro < 0) continue;
      found[static_cast<std::size_t>(micro)] = true;
      if (!seen.emplace(program, micro).second)
        raise("rank " + std::to_string(rank) + " runs twice" +
              where(script.programs[static_cast<std::size_t>(program)], micro));
    }
    const auto left_out = std::ranges::find(found, false) - found.begin();
    require(left_out == micros, "rank ", rank, " leaves out micro-batch ", left_out, " of ",
            micros);
  }
}

}  // namespace

Verified verify(const Job& job, std::size_t limit) {
  const JobIndex known(job);  // throws where the job is not whole
  check_micros(job);
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
