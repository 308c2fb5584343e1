#pragma once

namespace fusor {

// What the outside asks of a run, to be granted at the next step boundary.
enum class Wish { none = 0, save = 1, save_and_stop = 2 };

// From now on SIGUSR1 asks for a checkpoint, and SIGTERM for a checkpoint and the end of the run.
void listen_to_signals();

// The strongest wish since the last call, and forgets it.
Wish take_wish();

}  // namespace fusor
