#include "io/read_ahead.h"

#include <algorithm>
#include <utility>

#include "runtime/error.h"

namespace fusor {

ReadAhead::ReadAhead(std::int64_t num_batches, int depth, int num_threads, Fill fill)
    : num_batches_(num_batches), depth_(depth), fill_(std::move(fill)) {
  require(num_threads > 0 && depth > 1,
          "a loader needs 1 thread and 2 micro-batches of depth or more, not ", num_threads,
          " and ", depth);
  slots_.resize(static_cast<std::size_t>(depth));
  for (int i = 0; i < num_threads; ++i) threads_.emplace_back([this] { run(); });
}

ReadAhead::~ReadAhead() {
  const std::lock_guard lock(mutex_);
  stop_.request_stop();
  may_fill_.notify_all();
}

ReadAhead::Slot& ReadAhead::slot_of(std::int64_t batch) {
  return slots_[static_cast<std::size_t>(batch % depth_)];
}

std::int64_t ReadAhead::next() {
  std::unique_lock lock(mutex_);
  require(next_taken_ < num_batches_, "the loader has handed out all of its micro-batches");
  const std::int64_t batch = next_taken_++;
  may_fill_.notify_all();  // the slot of the batch before is free now
  Slot& slot = slot_of(batch);
  may_take_.wait(lock, [&] { return slot.filled == batch; });
  if (slot.error) {
    next_taken_ = batch;  // stays the next one: its error is thrown again
    std::rethrow_exception(slot.error);
  }
  return batch;
}

void ReadAhead::run() {
  std::unique_lock lock(mutex_);
  const auto has_work = [this] {
    const std::int64_t in_use = std::max<std::int64_t>(next_taken_ - 1, 0);
    return stop_.stop_requested() || next_filled_ < std::min(num_batches_, in_use + depth_);
  };
  while (may_fill_.wait(lock, has_work), !stop_.stop_requested()) {
    const std::int64_t batch = next_filled_++;
    Slot& slot = slot_of(batch);
    std::exception_ptr error;
    lock.unlock();
    try {
      fill_(batch, stop_.get_token());
    } catch (...) {
      error = std::current_exception();
    }
    lock.lock();
    slot.error = error;
    slot.filled = batch;
    if (batch + 1 == next_taken_) may_take_.notify_one();  // next() waits for it
  }
}

}  // namespace fusor
