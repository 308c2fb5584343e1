#pragma once
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <mutex>
#include <span>
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
// later ones are empty (Batch::num_targets), so that every rank runs the same number of steps
// (Loader::num_steps).
LoaderConfig evaluation_config(std::int64_t seq_len, std::int64_t micro_batch, int rank,
                               int num_ranks);

// One micro-batch, its tokens as the shards store them; the spans hold until the loader's next
// call.
struct Batch {
  std::int64_t position = 0;  // of its first sample in the endless sequence
  std::int64_t seq_len = 0;
  std::int64_t num_targets = 0;        // of [micro_batch * seq_len], the first that there are
  TokenType type = TokenType::u8;      // of `stored`
  std::span<const std::byte> stored;   // windows of seq_len + 1; neighbours share a token
  std::span<const std::int64_t> rows;  // [micro_batch] the token of `stored` where each begins
};

// tokens [micro_batch, seq_len] and the token after each as its target; those that are not there
// are token 0 with target kIgnoredTarget.
void unpack(const Batch& batch, std::span<std::int32_t> tokens, std::span<std::int32_t> targets);

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
    std::vector<std::byte> stored;   // up to [micro_batch, seq_len + 1] tokens
    std::vector<std::int64_t> rows;  // [micro_batch]
    std::int64_t num_targets = 0;
    std::int64_t filled = -1;  // the last micro-batch read into it
    std::exception_ptr error;
  };

  Slot& slot_of(std::int64_t batch);
  std::int64_t position_of(std::int64_t batch) const;
  void read_batches();
  void fill(std::int64_t batch, Slot& slot) const;
  std::int64_t token_bytes() const { return size_of(dataset_.manifest().token_type); }
  std::vector<std::int64_t> samples_of(std::int64_t batch) const;  // [micro_batch]

  const Dataset& dataset_;
  const LoaderConfig config_;
  std::int64_t num_windows_ = 0;
  std::int64_t num_batches_ = 0;  // to be read

  std::mutex mutex_;  // guards all below, and Slot::filled and Slot::error
  std::condition_variable may_read_, may_take_;
  std::atomic<bool> stopping_ = false;  // read without the mutex too
  std::vector<Slot> slots_;             // micro-batch b lives in slot b % depth
  std::int64_t next_read_ = 0;          // the next micro-batch that a reader takes on
  std::int64_t next_taken_ = 0;         // the next that next() returns; the one before it is in use
  std::vector<std::jthread> readers_;   // last: joined before what they use goes away
};

}  // namespace fusor
