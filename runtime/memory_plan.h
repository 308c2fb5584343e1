#pragma once
#include <cstddef>
#include <string>
#include <vector>

#include "runtime/device.h"
#include "runtime/trace.h"

namespace fusor {

// Where every allocation of a rank goes: offsets in one arena, fixed before the run. Allocations
// are known by their order: the k-th of a program is slot k.
struct MemoryPlan {
  struct Slot {
    std::size_t offset = 0, bytes = 0;  // offsets are multiples of kAlignment
    Owner owner{};
    std::string scope;     // the layer, for ledgers and messages
    bool carried = false;  // outlives the program's run, in the lane of its micro-batch
  };
  struct Program {
    std::string name;
    std::vector<Slot> slots;
    std::size_t end = 0;  // first byte above all its slots that are not carried
    // Micro-batch i has lane i % lanes: its carried slots lie that many lane_bytes further up.
    int lanes = 1;
    std::size_t lane_bytes = 0;
  };
  static constexpr std::size_t kAlignment = 64;

  std::vector<Slot> persistent;  // weights, gradients, optimizer state: outside any program
  std::vector<Program> programs;
  std::size_t bytes = 0;  // the arena's size, and its peak: the highest end of a slot
};

// Packs a rehearsal's allocations. Persistent ones lie at the bottom in order of birth. Above them
// is what programs leave to later ones: side by side, in as many lanes as micro-batches carry it at
// once. The rest of each program is packed above that by lifetime, largest first at the lowest free
// offset, and programs share that space. A program rehearsed more than once must repeat itself.
// Throws Error when a program does not, or when no program releases what it leaves behind, naming
// the layer.
MemoryPlan plan_memory(const Trace&);

}  // namespace fusor
