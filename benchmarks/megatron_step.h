#pragma once
#include <cstdint>

#include "parallel/job.h"

namespace fusor::benchmark {

// A measured run of GPT training in the manner of Megatron-LM in 2022.
struct MegatronRun {
  std::int64_t global_batch, micro_batch;  // samples
  std::int64_t width, heads, layers, seq_len;
  int tp, dp, pp;
  int chunks = 1;  // stages a rank; above 1 the schedule is interleaved
  // Sequence parallelism, and attention alone is recomputed; else every layer is, and nothing lies
  // split over tp between the split layers.
  bool selective = false;

  std::int64_t micros() const { return global_batch / micro_batch / dp; }
};

// The kernels and calls of one step on every rank, so that Fusor's simulator can be held against
// such runs: mixed precision in 16 bits, recomputation in the backward pass, attention with its
// [seq_len, seq_len] scores in memory, 1F1B (interleaved with chunks > 1), gradients reduced in 16
// bits after the last backward pass (https://arxiv.org/abs/2104.04473,
// https://arxiv.org/abs/2205.05198 sec. 3 and 4).
Job megatron_step(const MegatronRun&);

}  // namespace fusor::benchmark
