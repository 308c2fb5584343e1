#pragma once
#include <cstddef>
#include <functional>
#include <stdexcept>

#include "cuda_runtime.h"

namespace fusor::emulator {

// What a kernel does wrong: threads that wait for ever, a read of a lane that takes no part, shared
// memory written behind its end.
struct KernelFault : std::runtime_error {
  using std::runtime_error::runtime_error;
};

inline constexpr std::size_t kMostShared = 227 << 10;    // bytes of shared memory of a block
inline constexpr std::size_t kSharedUnasked = 48 << 10;  // without cudaFuncSetAttribute
inline constexpr unsigned kMostThreads = 1024;           // of a block

// Runs `thread` for every thread of every block, on fibers of the calling OS thread. Blocks run one
// after the other. A thread runs until it meets others, threads that may go on do so before others
// begin: with the order reversed, what a kernel leaves to chance happens the other way round.
void run_grid(dim3 blocks, dim3 threads, std::size_t shared, const std::function<void()>& thread,
              bool reversed);

}  // namespace fusor::emulator
