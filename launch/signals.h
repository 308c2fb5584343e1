#pragma once

namespace fusor {

// What the outside asks of a run, to be granted at the next step boundary.
enum class Wish { none = 0, save = 1, save_and_stop = 2 };

// From now on SIGUSR1 asks for a checkpoint, and SIGTERM for a checkpoint and the end of the run.
// To be called once, before any other thread starts: a thread of its own waits for the signals, and
// no other is interrupted by them. oneDNN's matrix products point the stack register into the heap
// while they run, where a signal handler's frame would overwrite what lies below.
void listen_to_signals();

// The strongest wish since the last call, and forgets it.
Wish take_wish();

}  // namespace fusor
