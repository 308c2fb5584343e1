#pragma once
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <mutex>
#include <stop_token>
#include <thread>
#include <vector>

namespace fusor {

// Threads that fill a ring of `depth` slots with batches 0, 1, ... and hand them out in order:
// batch b goes into slot b % depth, whose memory is the owner's. So this must be the owner's last
// member: its threads are joined before what they use goes away.
class ReadAhead {
 public:
  // Fills the slot of a batch; from several threads, never twice for the same slot at a time. It
  // may return early, and anything, once `stop` is requested.
  using Fill = std::function<void(std::int64_t batch, const std::stop_token& stop)>;

  // Throws Error without a thread or with fewer than two slots.
  ReadAhead(std::int64_t num_batches, int depth, int num_threads, Fill fill);
  ~ReadAhead();
  ReadAhead(const ReadAhead&) = delete;
  ReadAhead& operator=(const ReadAhead&) = delete;

  // Waits until the next batch is in its slot, which is the caller's until the next call. Throws
  // what `fill` threw, now and on every later call, and Error after the last batch.
  std::int64_t next();

 private:
  struct Slot {
    std::int64_t filled = -1;  // the last batch in it
    std::exception_ptr error;
  };
  Slot& slot_of(std::int64_t batch);
  void run();

  const std::int64_t num_batches_;
  const int depth_;
  const Fill fill_;

  std::mutex mutex_;  // guards all below
  std::condition_variable may_fill_, may_take_;
  std::stop_source stop_;
  std::vector<Slot> slots_;
  std::int64_t next_filled_ = 0;       // the next batch that a thread takes on
  std::int64_t next_taken_ = 0;        // the next that next() returns; the one before it is in use
  std::vector<std::jthread> threads_;  // last: joined before what they use goes away
};

}  // namespace fusor
