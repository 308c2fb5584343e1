#pragma once
#include <cstdint>
#include <vector>

#include "runtime/random.h"

namespace fusor {

enum class Sampling : std::uint8_t {
  shuffled,  // endless; each epoch in an order of its own (io/order.h)
  in_order,  // endless; each epoch from the first sample to the last
  once,      // each sample once, for evaluation: see evaluation_order
};

// Optimizer step s takes the positions [s * global_batch, (s + 1) * global_batch) of the endless
// sequence of samples. Of these, this rank takes `count` from the first-th on, in micro-batches.
struct BatchOrder {
  std::int64_t global_batch = 0;
  std::int64_t first = 0, count = 0;  // first + count <= global_batch
  std::int64_t micro_batch = 0;       // divides count
  std::int64_t start_step = 0;
  Sampling sampling = Sampling::shuffled;
  std::uint64_t seed = 0;
};

// Every sample exactly once over all ranks, one micro-batch a step: rank r takes positions
// r * micro_batch onwards of each num_ranks * micro_batch. The last ones are past the last sample,
// so that every rank runs the same number of steps.
BatchOrder evaluation_order(std::int64_t micro_batch, int rank, int num_ranks);

// What stands at a position of the endless sequence.
struct Sample {
  std::int64_t position = 0;
  std::int64_t epoch = 0;
  std::int64_t row = 0;  // of the dataset; with Sampling::once it may be past the last

  // What is drawn for this sample: the same for every layout, another in every epoch.
  RandomKey key(std::uint64_t seed) const;
};

// Which samples the micro-batches of a rank hold: a pure function of the order and their number.
class BatchSampler {
 public:
  // Throws Error when the numbers do not fit together.
  BatchSampler(const BatchOrder& order, std::int64_t num_samples);

  const BatchOrder& order() const { return order_; }
  std::int64_t num_samples() const { return num_samples_; }
  // Of this rank from start_step on; of an endless order, the largest number there is.
  std::int64_t num_batches() const;
  // Of Sampling::once; throws Error for an endless order.
  std::int64_t num_steps() const;
  // Of a micro-batch's first sample; batch 0 is the first one of start_step.
  std::int64_t position_of(std::int64_t batch) const;
  std::vector<Sample> samples_of(std::int64_t batch) const;  // [micro_batch]

 private:
  BatchOrder order_;
  std::int64_t num_samples_;
};

}  // namespace fusor
