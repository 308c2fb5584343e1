#pragma once
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <mutex>
#include <span>
#include <stop_token>
#include <thread>
#include <vector>

#include "io/dataset.h"
#include "runtime/target.h"

namespace fusor {

enum class Sampling : std::uint8_t {
  shuffled,  // endless; each epoch in an order of its own (io/order.h)
  in_order,  // endless; each epoch from the first window to the last
  once,      // each window once, for evaluation: see evaluation_config
};

// Optimizer step s takes the positions [s * global_batch, (s + 1) * global_batch) of the endless
// sequence of samples. Of these, this rank takes `count` from the first-th on, in micro-batches.
struct LoaderConfig {
  std::int64_t seq_len = 0;
  std::int64_t global_batch = 0;
  std::int64_t first = 0, count = 0;  // first + count <= global_batch
  std::int64_t micro_batch = 0;       // divides count
  std::int64_t start_step = 0;
  Sampling sampling = Sampling::shuffled;
  std::uint64_t seed = 0;
  int num_threads = 1;  // readers
  int depth = 4;        // micro-batches in memory, the one in use included; 2 or more
};

// Every target of the split exactly once over all ranks, one micro-batch a step: rank r takes
// positions r * micro_batch onwards of each num_ranks * micro_batch. The last window is shorter and
// later ones are empty; their absent tokens are 0 with target kIgnoredTarget, so that every rank
// runs the same number of steps (Loader::num_steps).
LoaderConfig evaluation_config(std::int64_t seq_len, std::int64_t micro_batch, int rank,
                               int num_ranks);

// One micro-batch; the spans hold until the loader's next call.
struct Batch {
  std::int64_t position = 0;              // of its first sample in the endless sequence
  std::span<const std::int32_t> tokens;   // [micro_batch, seq_len]
  std::span<const std::int32_t> targets;  // [micro_batch, seq_len] the token after each
};

// Reads ahead with its own threads into a ring of buffers and hands out micro-batches in order.
// The dataset must outlive it.
class Loader {
 public:
  // Throws Error when the numbers do not fit together or the split is shorter than a sequence.
  Loader(const Dataset& dataset, const LoaderConfig& config);
  ~Loader();
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  // Waits for the next micro-batch. Throws what its reader threw, now and on every later call, and
  // Error after the last one of Sampling::once.
  Batch next();

  // Of Sampling::once; throws Error for an endless loader.
  std::int64_t num_steps() const;

 private:
  struct Slot {
    // [micro_batch, seq_len], and in `tokens` one more: a row is read with the token after it,
    // which the next row then overwrites.
    std::vector<std::int32_t> tokens, targets;
    std::int64_t filled = -1;  // the last micro-batch read into it
    std::exception_ptr error;
  };

  Slot& slot_of(std::int64_t batch);
  std::int64_t position_of(std::int64_t batch) const;
  void read_batches(std::stop_token stop);
  void fill(std::int64_t batch, Slot& slot, const std::stop_token& stop) const;
  void read_sample(std::int64_t sample, std::span<std::int32_t> window,  // [seq_len + 1]
                   std::span<std::int32_t> targets) const;               // [seq_len]

  const Dataset& dataset_;
  const LoaderConfig config_;
  std::int64_t num_windows_ = 0;
  std::int64_t num_batches_ = 0;  // to be read

  std::mutex mutex_;                      // guards all below, and Slot::filled and Slot::error
  std::condition_variable_any may_read_;  // takes a stop token
  std::condition_variable may_take_;
  std::vector<Slot> slots_;            // micro-batch b lives in slot b % depth
  std::int64_t next_read_ = 0;         // the next micro-batch that a reader takes on
  std::int64_t next_taken_ = 0;        // the next that next() returns; the one before it is in use
  std::vector<std::jthread> readers_;  // last: joined before what they use goes away
};

}  // namespace fusor
