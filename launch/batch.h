#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "launch/config.h"
#include "parallel/mesh.h"

namespace fusor {

// What a recipe comes to on a number of ranks.
struct RunSize {
  std::int64_t global_batch = 0;  // samples per step
  std::int64_t micro_batch = 0;   // samples per forward pass of a rank
  std::int64_t accumulation = 0;  // micro-batches per rank and step
  std::int64_t dp = 1;            // data-parallel size
  MeshShape mesh{};               // of all ranks
  std::int64_t seq_len = 0;       // tokens per sample, of language models; else 0
  std::int64_t steps = 0;         // of the optimizer
  std::int64_t tokens_per_step() const { return global_batch * seq_len; }
  // What a run counts its speed in: tokens where there are any, else samples.
  std::string unit() const { return seq_len > 0 ? "tokens" : "samples"; }
  std::int64_t units_per_step() const { return seq_len > 0 ? tokens_per_step() : global_batch; }
};

// global_batch = micro_batch x accumulation x dp. Any two of global batch, micro-batch and
// accumulation give the third. With one or none of them the micro-batch is 8 samples, or the most
// below 8 that divide a given global batch; the global batch is 32 or the next multiple of 8 x dp.
// Throws Error that names the nearest values that work.
RunSize run_size(const Config&, std::int64_t world_size);

// One line each: "ranks 8 = dp 2 x tp 2 x pp 2", "global batch 256 = micro 4 x accumulation 8 x dp
// 8", tokens or samples per step and run.
std::vector<std::string> formulas(const RunSize&);

}  // namespace fusor
