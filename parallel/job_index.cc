#include "parallel/job_index.h"

#include "runtime/error.h"

namespace fusor {

JobIndex::JobIndex(const Job& job) : communicators_(job.communicators) {
  const auto ranks = static_cast<std::size_t>(job.size());
  for (std::size_t rank = 0; rank < ranks; ++rank) {
    const int script = job.script_of_rank[rank];
    require(script >= 0 && static_cast<std::size_t>(script) < job.scripts.size(), "rank ", rank,
            " has script ", script, " of ", job.scripts.size());
  }
  for (std::size_t c = 0; c < communicators_.size(); ++c) {
    const auto& [name, groups] = communicators_[c];
    require(names_.emplace(name, static_cast<int>(c)).second, "two communicators are named ", name);
    std::vector<Seat>& seats = seats_.emplace_back(ranks);
    for (std::size_t g = 0; g < groups.size(); ++g)
      for (std::size_t place = 0; place < groups[g].size(); ++place) {
        const int rank = groups[g][place];
        require(rank >= 0 && rank < job.size(), name, " has rank ", rank, " of ", ranks);
        Seat& seat = seats[static_cast<std::size_t>(rank)];
        require(seat.group < 0, "rank ", rank, " is twice in ", name);
        seat = {static_cast<int>(g), static_cast<int>(place)};
      }
  }
}

int JobIndex::find(const std::string& name) const {
  const auto found = names_.find(name);
  return found == names_.end() ? -1 : found->second;
}

const std::vector<int>& JobIndex::members(int communicator, int rank) const {
  const auto group = static_cast<std::size_t>(at(communicator, rank).group);
  return communicators_[static_cast<std::size_t>(communicator)].groups[group];
}

}  // namespace fusor
