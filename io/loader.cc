#include "io/loader.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "io/order.h"
#include "runtime/error.h"

namespace fusor {
namespace {

void check(const LoaderConfig& c) {
  require(c.micro_batch > 0 && c.count > 0 && c.count % c.micro_batch == 0, "micro-batches of ",
          c.micro_batch, " do not divide a rank's batch of ", c.count);
  require(c.first >= 0 && c.first + c.count <= c.global_batch, "samples ", c.first, " to ",
          c.first + c.count, " are not in a global batch of ", c.global_batch);
  require(c.start_step >= 0, "a loader cannot start at step ", c.start_step);
  require(c.num_threads > 0 && c.depth > 1,
          "a loader needs 1 thread and 2 micro-batches of depth or more, not ", c.num_threads,
          " and ", c.depth);
}

}  // namespace

LoaderConfig evaluation_config(std::int64_t seq_len, std::int64_t micro_batch, int rank,
                               int num_ranks) {
  return {.seq_len = seq_len,
          .global_batch = micro_batch * num_ranks,
          .first = micro_batch * rank,
          .count = micro_batch,
          .micro_batch = micro_batch,
          .sampling = Sampling::once};
}

void unpack(const Batch& batch, std::span<std::int32_t> tokens, std::span<std::int32_t> targets) {
  const std::int64_t width = size_of(batch.type);
  std::int64_t left = batch.num_targets;
  for (const std::int64_t row : batch.rows) {
    const std::int64_t count = std::min(left, batch.seq_len);
    const auto n = static_cast<std::size_t>(count);
    const auto from = [&](std::int64_t token) {
      return batch.stored.subspan(static_cast<std::size_t>(token * width),
                                  static_cast<std::size_t>(count * width));
    };
    widen(batch.type, from(row), tokens.first(n));
    widen(batch.type, from(row + 1), targets.first(n));
    tokens = tokens.subspan(n), targets = targets.subspan(n);
    left -= count;
  }
  std::ranges::fill(tokens, 0);
  std::ranges::fill(targets, kIgnoredTarget);
}

Loader::Loader(const Dataset& dataset, const LoaderConfig& config)
    : dataset_(dataset), config_(config) {
  check(config);
  num_windows_ = dataset.num_samples(config.seq_len);
  num_batches_ = std::numeric_limits<std::int64_t>::max();
  if (config.sampling == Sampling::once) {
    num_windows_ = (dataset.num_tokens() - 1 + config.seq_len - 1) / config.seq_len;
    num_batches_ = (num_steps() - config.start_step) * (config.count / config.micro_batch);
  }
  slots_.resize(static_cast<std::size_t>(config.depth));
  const std::int64_t bytes = config.micro_batch * (config.seq_len + 1) * token_bytes();
  for (Slot& slot : slots_) {
    slot.stored.resize(static_cast<std::size_t>(bytes));
    slot.rows.resize(static_cast<std::size_t>(config.micro_batch));
  }
  for (int i = 0; i < config.num_threads; ++i) readers_.emplace_back([this] { read_batches(); });
}

Loader::~Loader() {
  const std::lock_guard lock(mutex_);
  stopping_ = true;
  may_read_.notify_all();
}

std::int64_t Loader::num_steps() const {
  require(config_.sampling == Sampling::once, "an endless loader has no number of steps");
  return (num_windows_ + config_.global_batch - 1) / config_.global_batch;
}

std::int64_t Loader::position_of(std::int64_t batch) const {
  const std::int64_t per_step = config_.count / config_.micro_batch;
  return (config_.start_step + batch / per_step) * config_.global_batch + config_.first +
         batch % per_step * config_.micro_batch;
}

Loader::Slot& Loader::slot_of(std::int64_t batch) {
  return slots_[static_cast<std::size_t>(batch % config_.depth)];
}

Batch Loader::next() {
  std::unique_lock lock(mutex_);
  require(next_taken_ < num_batches_, "the loader has handed out all of its micro-batches");
  const std::int64_t batch = next_taken_++;
  may_read_.notify_all();  // the buffer of the micro-batch before is free now
  Slot& slot = slot_of(batch);
  may_take_.wait(lock, [&] { return slot.filled == batch; });
  if (slot.error) {
    next_taken_ = batch;  // stays the next one: its error is thrown again
    std::rethrow_exception(slot.error);
  }
  return {.position = position_of(batch),
          .seq_len = config_.seq_len,
          .num_targets = slot.num_targets,
          .type = dataset_.manifest().token_type,
          .stored = slot.stored,
          .rows = slot.rows};
}

void Loader::read_batches() {
  std::unique_lock lock(mutex_);
  const auto has_work = [this] {
    const std::int64_t in_use = std::max<std::int64_t>(next_taken_ - 1, 0);
    return stopping_ || next_read_ < std::min(num_batches_, in_use + config_.depth);
  };
  while (may_read_.wait(lock, has_work), !stopping_) {
    const std::int64_t batch = next_read_++;
    Slot& slot = slot_of(batch);
    std::exception_ptr error;
    lock.unlock();
    try {
      fill(batch, slot);
    } catch (...) {
      error = std::current_exception();
    }
    lock.lock();
    slot.error = error;
    slot.filled = batch;
    if (batch + 1 == next_taken_) may_take_.notify_one();  // next() waits for it
  }
}

std::vector<std::int64_t> Loader::samples_of(std::int64_t batch) const {
  std::vector<std::int64_t> samples(static_cast<std::size_t>(config_.micro_batch));
  std::iota(samples.begin(), samples.end(), position_of(batch));
  if (config_.sampling == Sampling::once) return samples;
  std::int64_t epoch = samples.front() / num_windows_;
  Permutation order = epoch_order(config_.seed, epoch, num_windows_);
  for (std::int64_t& sample : samples) {
    if (sample / num_windows_ > epoch) order = epoch_order(config_.seed, ++epoch, num_windows_);
    sample %= num_windows_;
    if (config_.sampling == Sampling::shuffled) sample = order(sample);
  }
  return samples;
}

void Loader::fill(std::int64_t batch, Slot& slot) const {
  const std::vector<std::int64_t> samples = samples_of(batch);
  const std::int64_t seq_len = config_.seq_len, width = token_bytes();
  std::int64_t at = 0;  // tokens of the slot filled so far
  slot.num_targets = 0;
  for (std::size_t row = 0; row < samples.size() && !stopping_;) {
    const std::int64_t begin = samples[row] * seq_len;
    std::int64_t length = 0;  // of windows that lie side by side: one read
    for (; row < samples.size() && samples[row] * seq_len == begin + length; length += seq_len)
      slot.rows[row++] = at + length;
    const auto targets = std::clamp<std::int64_t>(dataset_.num_tokens() - 1 - begin, 0, length);
    if (targets > 0)
      dataset_.read_stored(begin, std::span(slot.stored)
                                      .subspan(static_cast<std::size_t>(at * width),
                                               static_cast<std::size_t>((targets + 1) * width)));
    slot.num_targets += targets;
    at += length + 1;
  }
}

}  // namespace fusor
