#pragma once
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "parallel/mesh.h"
#include "runtime/trace.h"

// What all ranks of a job do, as a value: from it the verifier and the simulator tell what would
// happen (parallel/play.h). Ranks that do the same work share one script, and what a rank repeats
// is kept once, so that 10,000 ranks cost what a few dozen do.
namespace fusor {

// Events of one piece of work: a stage's forward pass, a send, the optimizer's update.
struct TraceProgram {
  std::string name;  // "stage.1.F"
  std::vector<TraceEvent> events;
};

// One run of a program. Calls and allocations are known by their id, which is unique over the
// programs of a script, and their micro-batch: what F(i) begins or allocates, B(i) may wait for or
// release. Weights, gradients and optimizer state are of no micro-batch, wherever they are
// allocated. What is of none is reached from all, and a run that is of none reaches all.
struct ProgramRun {
  int program = 0;
  int micro = -1;  // -1: no micro-batch
};

// What a class of ranks does, in order. CommEvents tell the place they were rehearsed at, and
// another rank of the class translates: its sends and receives go as many places further (around
// the group), a broadcast's root is the same.
struct Script {
  std::vector<TraceProgram> programs;
  std::vector<ProgramRun> runs;
  std::size_t arena = 0;  // bytes that the rank's memory plan holds; 0: not planned
};
Script script_of(const Trace&);  // a program is kept once; what stands outside one is nameless

// All the groups of one name, "dp": each has its ranks in order of their places. A rank is in at
// most one of them.
struct Communicator {
  std::string name;
  std::vector<std::vector<int>> groups;
};

// All the groups of a mesh that have more than one rank.
std::vector<Communicator> communicators_of(const MeshShape&);

struct Job {
  std::vector<Script> scripts;
  std::vector<int> script_of_rank;  // [world size], indices of scripts
  std::vector<Communicator> communicators;

  int size() const { return static_cast<int>(script_of_rank.size()); }
};

// Ranks that behave alike, found by refining until nothing tells two of a color apart: their
// scripts are equal, and so are those of their partners in every call, and of their partners'
// partners.
struct Colors {
  std::vector<int> of_rank;    // [world size], from 0 in order of the first rank
  std::vector<int> first;      // [colors] its lowest rank, which stands for the others
  std::vector<int> num_ranks;  // [colors]
};
// `likeness` tells groups apart that are placed otherwise (over nodes, say): ranks of one color
// have groups, and pairs of sender and receiver, of equal likeness. Throws Error that names the
// rank where a script's call is on a communicator that the rank has not, or has in another size.
using Likeness = std::function<std::uint64_t(std::span<const int> ranks)>;
Colors color_ranks(const Job&, const Likeness& likeness = {});

}  // namespace fusor
