#pragma once
#include <array>
#include <cstddef>
#include <iosfwd>
#include <string>
#include <vector>

#include "runtime/memory_plan.h"
#include "runtime/trace.h"

namespace fusor {

// A rank's memory by what it is for, read off its rehearsal.
struct Ledger {
  using Bytes = std::array<std::size_t, kNumOwners>;  // by Owner

  struct Layer {
    std::string scope;  // "block.3"
    std::size_t bytes;
  };
  struct Program {
    std::string name;
    std::size_t end = 0;          // the arena's bytes in use while it runs, as packed
    Bytes at_peak{};              // its own that are alive, when most are
    std::vector<Layer> layers{};  // of at_peak, the activations, largest first
  };

  Bytes persistent{};  // alive all through the run
  // First, where programs leave memory to later ones, that as "in flight": of all micro-batches.
  std::vector<Program> programs;
  std::size_t arena = 0;  // the rank's peak, to the byte
};

Ledger make_ledger(const Trace&, const MemoryPlan&);

// A table for people: a row a program, a column an owner, and the peak in bytes.
std::ostream& operator<<(std::ostream&, const Ledger&);

std::string readable_bytes(std::size_t bytes);  // "1.52 GiB"

}  // namespace fusor
