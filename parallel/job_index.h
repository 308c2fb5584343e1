#pragma once
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "parallel/job.h"

namespace fusor {

// Who is where: the groups of a job, found by communicator and rank.
class JobIndex {
 public:
  // Throws Error where a group names a rank that is not, or a rank twice, or a script is missing.
  explicit JobIndex(const Job&);

  int size() const { return static_cast<int>(communicators_.size()); }
  int find(const std::string& name) const;  // -1: no such communicator
  // The number of the rank's group among the communicator's, -1 for none.
  int group(int communicator, int rank) const { return at(communicator, rank).group; }
  int place(int communicator, int rank) const { return at(communicator, rank).place; }
  // The ranks of the rank's group, in order of their places.
  const std::vector<int>& members(int communicator, int rank) const;

 private:
  struct Seat {
    int group = -1, place = -1;
  };
  const Seat& at(int communicator, int rank) const {
    return seats_[static_cast<std::size_t>(communicator)][static_cast<std::size_t>(rank)];
  }
  const std::vector<Communicator>& communicators_;
  std::unordered_map<std::string, int> names_;
  std::vector<std::vector<Seat>> seats_;  // [communicators][ranks]
};

inline bool is_transfer(CommKind kind) { return kind == CommKind::send || kind == CommKind::recv; }

// How many places further the other end of a transfer is, around the group: 0 to group_size - 1.
inline int offset_of(const CommEvent& e) {
  return (e.peer - e.place + e.group_size) % e.group_size;
}

// Equal for scripts that do the same, whatever place they were rehearsed at.
std::uint64_t fingerprint(const Script&);

}  // namespace fusor
