#pragma once
#include <memory>
#include <string>

#include "runtime/error.h"
#include "runtime/transport.h"

namespace fusor {

// Ranks that are threads of this process, for tests and debuggers. A call completes when its last
// rank has made it; sums are in rank order. A call that does not match that of the other ranks
// throws Error and names both. Sends complete when received.
class ThreadRanks {
 public:
  explicit ThreadRanks(int size);
  ~ThreadRanks();
  // Rank `rank`'s end of the group "world". To be used, and destroyed, by one thread.
  std::unique_ptr<Transport> transport(int rank) const;
  // Releases all who wait, and all who will, with PeerFailed.
  void fail() const;

 private:
  struct Hub;
  struct Job;
  struct Meeting;
  class End;
  class Attendance;
  std::shared_ptr<Job> job_;
  std::shared_ptr<Hub> hub_;
};

}  // namespace fusor
