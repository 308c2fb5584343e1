#pragma once
#include <cstdint>
#include <span>
#include <stop_token>
#include <vector>

#include "io/dataset.h"
#include "io/read_ahead.h"
#include "io/sampling.h"
#include "runtime/target.h"

namespace fusor {

// See BatchOrder for those that both have.
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

// Every target of the split exactly once over all ranks (evaluation_order). The last window is
// shorter and later ones are empty (TokenWindows::num_targets), so that every rank runs the same
// number of steps (Loader::num_steps).
LoaderConfig evaluation_config(std::int64_t seq_len, std::int64_t micro_batch, int rank,
                               int num_ranks);

// One micro-batch, its tokens as the shards store them; the spans hold until the loader's next
// call.
struct TokenWindows {
  std::int64_t position = 0;  // of its first sample in the endless sequence
  std::int64_t seq_len = 0;
  std::int64_t num_targets = 0;        // of [micro_batch * seq_len], the first that there are
  TokenType type = TokenType::u8;      // of `stored`
  std::span<const std::byte> stored;   // windows of seq_len + 1; neighbours share a token
  std::span<const std::int64_t> rows;  // [micro_batch] the token of `stored` where each begins
};

// tokens [micro_batch, seq_len] and the token after each as its target; those that are not there
// are token 0 with target kIgnoredTarget.
void unpack(const TokenWindows& batch, std::span<std::int32_t> tokens,
            std::span<std::int32_t> targets);

// Reads ahead with its own threads into a ring of buffers and hands out micro-batches in order.
// The dataset must outlive it.
class Loader {
 public:
  // Throws Error when the numbers do not fit together or the split is shorter than a sequence.
  Loader(const Dataset& dataset, const LoaderConfig& config);
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  // Waits for the next micro-batch. Throws what its reader threw, now and on every later call, and
  // Error after the last one of Sampling::once.
  TokenWindows next();

  // Of Sampling::once; throws Error for an endless loader.
  std::int64_t num_steps() const { return sampler_.num_steps(); }

 private:
  struct Slot {
    std::vector<std::byte> stored;   // up to [micro_batch, seq_len + 1] tokens
    std::vector<std::int64_t> rows;  // [micro_batch]
    std::int64_t num_targets = 0;
  };
  Slot& slot_of(std::int64_t batch);
  void fill(std::int64_t batch, const std::stop_token& stop);
  std::int64_t token_bytes() const { return size_of(dataset_.manifest().token_type); }

  const Dataset& dataset_;
  const LoaderConfig config_;
  const BatchSampler sampler_;  // of windows
  std::vector<Slot> slots_;     // micro-batch b lives in slot b % depth
  ReadAhead ahead_;
};

}  // namespace fusor
