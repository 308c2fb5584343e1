#pragma once
#include <array>
#include <chrono>

#include "parallel/mesh.h"

// Ways to see what a rank's communication costs a step: a transport around another, that changes
// when calls are waited for, and times the rank in them.
namespace fusor::benchmark {

enum class Overlap {
  as_is,
  waited,   // each call is complete before it returns
  left_out  // no call is made: what the ranks compute is wrong, how long they take is not
};

// What a slow network adds: a rank's calls go through it one after the other, each in latency +
// bytes / bytes_per_second, the bytes being those that a ring makes each rank send.
struct Link {
  double latency = 0;           // s
  double bytes_per_second = 0;  // 0: no link
};

// Of one rank's transports together.
struct Tap {
  using Clock = std::chrono::steady_clock;
  Overlap overlap = Overlap::as_is;
  Link link{};
  Clock::time_point link_free{};  // when it has moved all that was begun
  struct Seconds {
    std::array<double, 8> of_kind{};  // in begin and wait, by CommKind
    double progress = 0;              // in progress()
  } seconds{};
};

// `mesh` with a tap, which must outlive it, on the groups over which weights are copied: data,
// shard, replicas and expert_data.
Mesh tapped(Mesh mesh, Tap& tap);

}  // namespace fusor::benchmark
