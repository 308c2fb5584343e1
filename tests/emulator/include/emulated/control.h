#pragma once
#include <cstddef>

// What tests set on the emulated devices while they run.
namespace fusor::emulator {

// Blocks, threads, lanes and the nodes of graphs from the last to the first; where a kernel or a
// graph leaves the order to chance, results differ from those of the usual order.
void reverse_order(bool);
void set_memory(std::size_t bytes);  // of the current device

}  // namespace fusor::emulator
