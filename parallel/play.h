#pragma once
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "parallel/job.h"

// Plays the scripts of all ranks of a job against each other, as a discrete event simulation of one
// rank of every color. The verifier plays without times, the simulator with a Clock.
//
// Calls begin without blocking; a rank blocks where it waits for one. A collective begins when all
// ranks of its group have begun it and the one before it on this communicator has ended; a transfer
// when its sender and its receiver have, and the one before it from this sender to this receiver on
// this communicator has ended. Nothing is buffered: a send is complete when it has been received
// (so do MPI and NCCL with large messages). Communicators do not slow each other down.
namespace fusor {

// What work costs. Each different event is asked about once.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual double op_seconds(const OpEvent&) = 0;
  // In which the host issues an op or a call. It runs ahead of the rank, but not past the end of a
  // transfer, and the rank waits only where its host is late.
  virtual double issue_seconds(const TraceEvent&) { return 0; }
  // Of a collective by `ranks`, in order of their places, or of a transfer between {from, to}
  // (asked with the send). `event.count` is of one rank's `in`.
  virtual double comm_seconds(const CommEvent& event, std::span<const int> ranks) = 0;
  // Groups of equal likeness take equal times: a hash of how they lie on nodes.
  virtual std::uint64_t likeness(std::span<const int> /*ranks*/) { return 0; }
};

// Calls of one kind on one communicator, as one rank sees them.
struct PlayedComm {
  std::string group;
  CommKind kind{};
  std::int64_t calls = 0;
  double bytes = 0;    // of `in`, summed
  double seconds = 0;  // in transit, exposed or not
  double exposed = 0;  // of these: the rank waited, computing nothing
  double skew = 0;     // the rank waited before the call could begin: for a later partner, or for
                       // earlier calls of the communicator; on pp: the bubble
};

// One stretch of a rank's timeline.
struct PlayedSpan {
  enum class Kind : std::uint8_t { op, comm, wait } kind{};
  double begin = 0, end = 0;          // seconds since the job's begin
  const TraceEvent* event = nullptr;  // OpEvent or CommEvent, of the job's scripts
  int program = 0, micro = -1;        // where the event stands, or the wait
};

struct PlayedRank {
  int rank = 0;        // stands for its color
  int num_ranks = 0;   // of the color
  double seconds = 0;  // when it ends
  double compute = 0;  // the sum of its ops
  double launch = 0;   // it waited for its host
  std::vector<PlayedComm> comms;
  std::vector<PlayedSpan> timeline;  // by end of what is known; empty unless asked for
};

struct Played {
  double seconds = 0;              // the last rank's end
  std::vector<PlayedRank> ranks;   // [colors]
  std::vector<int> color_of_rank;  // [world size]
};

struct PlayOptions {
  bool timeline = false;
};

// Throws Error where calls that meet differ (kind, name, sizes, dtype, root, ...) or ranks wait for
// each other for ever, naming the ranks, the operations and what each side expected. Without a
// clock all takes no time. 4 million events take about a second.
Played play(const Job&, Clock* clock = nullptr, const PlayOptions& = {});

}  // namespace fusor
