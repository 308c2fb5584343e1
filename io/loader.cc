#include "io/loader.h"

#include <algorithm>
#include <limits>

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
  const auto elements = static_cast<std::size_t>(config.micro_batch * config.seq_len);
  for (Slot& slot : slots_) {
    slot.tokens.resize(elements + 1);
    slot.targets.resize(elements);
  }
  for (int i = 0; i < config.num_threads; ++i)
    readers_.emplace_back([this](std::stop_token stop) { read_batches(stop); });
}

Loader::~Loader() {
  for (std::jthread& reader : readers_) reader.request_stop();
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
  return {position_of(batch), std::span(slot.tokens).first(slot.targets.size()), slot.targets};
}

void Loader::read_batches(std::stop_token stop) {
  std::unique_lock lock(mutex_);
  const auto has_free_slot = [this] {
    const std::int64_t in_use = std::max<std::int64_t>(next_taken_ - 1, 0);
    return next_read_ < std::min(num_batches_, in_use + config_.depth);
  };
  while (may_read_.wait(lock, stop, has_free_slot) && !stop.stop_requested()) {
    const std::int64_t batch = next_read_++;
    Slot& slot = slot_of(batch);
    std::exception_ptr error;
    lock.unlock();
    try {
      fill(batch, slot, stop);
    } catch (...) {
      error = std::current_exception();
    }
    lock.lock();
    slot.error = error;
    slot.filled = batch;
    may_take_.notify_one();
  }
}

void Loader::fill(std::int64_t batch, Slot& slot, const std::stop_token& stop) const {
  const std::int64_t first = position_of(batch);
  std::int64_t epoch = first / num_windows_;
  Permutation order = epoch_order(config_.seed, epoch, num_windows_);
  for (std::int64_t row = 0; row < config_.micro_batch && !stop.stop_requested(); ++row) {
    const std::int64_t position = first + row;
    if (position / num_windows_ > epoch) order = epoch_order(config_.seed, ++epoch, num_windows_);
    std::int64_t sample = position;
    if (config_.sampling != Sampling::once) sample %= num_windows_;
    if (config_.sampling == Sampling::shuffled) sample = order(sample);
    const auto at = static_cast<std::size_t>(row * config_.seq_len);
    const auto length = static_cast<std::size_t>(config_.seq_len);
    read_sample(sample, std::span(slot.tokens).subspan(at, length + 1),
                std::span(slot.targets).subspan(at, length));
  }
}

void Loader::read_sample(std::int64_t sample, std::span<std::int32_t> window,
                         std::span<std::int32_t> targets) const {
  const std::int64_t begin = sample * config_.seq_len;
  const auto present = static_cast<std::size_t>(
      std::clamp<std::int64_t>(dataset_.num_tokens() - 1 - begin, 0, config_.seq_len));
  if (present > 0) dataset_.read(begin, window.first(present + 1));
  std::copy_n(window.begin() + 1, present, targets.begin());
  std::fill(targets.begin() + present, targets.end(), kIgnoredTarget);
  std::fill(window.begin() + present, window.end() - 1, 0);
}

}  // namespace fusor
