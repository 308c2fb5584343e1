#pragma once
#include <cstdint>
#include <deque>
#include <limits>
#include <unordered_map>
#include <vector>

#include "parallel/compiled_script.h"

// How far a play is, for the engine (play.cc) and for what it says when it cannot go on
// (play_errors.cc).
namespace fusor {

struct Actor;

// A call that has begun and has not been waited for.
struct Flight {
  const CompiledScript::Call* call;
  int program, micro;
  std::uint64_t number;  // of its meeting on the line
  double begin = 0, end = 0;
  bool done = false, awaited = false;
};

// What one actor brought to a meeting.
struct Arrival {
  Actor* actor = nullptr;  // null: has not come
  const CompiledScript::Call* call = nullptr;
  int program = 0, micro = -1;
  double begun = 0;
  Flight* flight = nullptr;  // null: complete for this actor already
};

// Where calls meet, one after the other: the collectives of one communicator, with a seat for each
// color of the group; or the transfers of one sender to one receiver, in seats 0 and 1.
struct Line {
  std::vector<int> colors;             // [seats] of collectives
  std::vector<std::uint64_t> arrived;  // [seats] calls so far
  std::deque<std::vector<Arrival>> open;
  std::uint64_t first = 0;  // the number of open.front()
  double free = 0;          // when the last has ended
};

// One rank that stands for a color.
struct Actor {
  struct Seat {
    int line, seat;
  };
  const CompiledScript* script = nullptr;
  int color = 0, rank = 0;
  std::size_t run = 0, step = 0;
  double now = 0, host = 0;  // the host has issued what it came to
  Flight* blocked = nullptr;
  std::unordered_map<std::uint64_t, Flight> flights;
  std::vector<Seat> seats;    // [calls]
  std::vector<double> costs;  // [calls] seconds, negative until asked for
  PlayedRank played;

  bool ended() const { return run == script->script->runs.size(); }
};

struct PlayState {
  const Job& job;
  JobIndex index;
  Colors colors;
  std::vector<CompiledScript> scripts;  // [scripts]
  std::vector<Actor> actors;            // [colors]
  std::vector<Line> lines;

  const Actor& actor_of(int rank) const {
    const int color = colors.of_rank[static_cast<std::size_t>(rank)];
    return actors[static_cast<std::size_t>(color)];
  }
};

// "size": the first respect in which two calls that meet differ, or null.
const char* difference(const Arrival&, const Arrival&);

[[noreturn]] void raise_difference(const PlayState&, const Arrival&, const Arrival&);
[[noreturn]] void raise_begun_twice(const Actor&, const CompiledScript::Call&, int program,
                                    int micro);
[[noreturn]] void raise_not_begun(const Actor&, std::uint64_t id, int program, int micro);
// After the play: somebody is blocked. `buffering_helps`: not if sends were buffered.
[[noreturn]] void raise_stuck(const PlayState&, bool buffering_helps);
// After the play, nobody blocked: throws where calls were left alone, or never waited for.
void require_all_met(const PlayState&);

}  // namespace fusor
