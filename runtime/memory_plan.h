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
    std::string scope;  // the layer, for ledgers and messages
  };
  struct Program {
    std::string name;
    std::vector<Slot> slots;
    std::size_t end = 0;  // first byte above all its slots
  };
  static constexpr std::size_t kAlignment = 64;

  std::vector<Slot> persistent;  // weights, gradients, optimizer state: outside any program
  std::vector<Program> programs;
  std::size_t bytes = 0;  // the arena's size, and its peak: the highest end of a slot
};

// Packs a rehearsal's allocations. Persistent ones lie at the bottom in order of birth; each
// program is packed above them by lifetime, largest first at the lowest free offset, and programs
// share that space. A program rehearsed more than once must repeat itself. Throws Error when a
// program does not, or leaves memory behind, naming the layer.
MemoryPlan plan_memory(const Trace&);

}  // namespace fusor
