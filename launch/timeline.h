#pragma once
#include <string>

#include "parallel/play.h"

namespace fusor {

// Writes a play that kept its timeline as a trace that Perfetto (ui.perfetto.dev) shows: a process
// for each color of ranks, with a track of what it computes, by program and micro-batch and, where
// that is not too much to look at, by operator; a track of its calls by communicator; and one of
// its waits. Throws Error that names the file.
void write_timeline(const std::string& file, const Job& job, const Played& played);

}  // namespace fusor
