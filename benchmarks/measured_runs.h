#pragma once
#include <filesystem>
#include <vector>

#include "parallel/cost_model.h"

namespace fusor::benchmark {

struct Measured {
  double measured, predicted;  // seconds
};

// Every row of a CSV file of measurements, predicted. Columns of GPT training as MegatronRun has
// it: gpus, global_batch, micro_batch, hidden_size, heads, layers, sequence_length, tensor, data,
// pipeline, iteration_ms. Columns of all-reduces: bytes, time_us; the file's name holds "allreduce"
// and ends in the number of ranks. Throws Error where the file cannot be read.
std::vector<Measured> predict(const std::filesystem::path& file, const CostModel& model);

struct Errors {
  double mean_absolute = 0, bias = 0, worst = 0;  // of predicted / measured - 1
};
Errors errors_of(const std::vector<Measured>&);

}  // namespace fusor::benchmark
