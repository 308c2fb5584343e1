#include "io/loader.h"

#include <algorithm>

#include "runtime/error.h"

namespace fusor {
namespace {

BatchOrder order_of(const LoaderConfig& c) {
  return {c.global_batch, c.first, c.count, c.micro_batch, c.start_step, c.sampling, c.seed};
}

// Windows that an endless loader gives: whole ones. Once, the rest of the tokens counts too.
std::int64_t num_windows(const Dataset& dataset, const LoaderConfig& c) {
  const std::int64_t whole = dataset.num_samples(c.seq_len);
  return c.sampling == Sampling::once ? (dataset.num_tokens() - 1 + c.seq_len - 1) / c.seq_len
                                      : whole;
}

}  // namespace

LoaderConfig evaluation_config(std::int64_t seq_len, std::int64_t micro_batch, int rank,
                               int num_ranks) {
  const BatchOrder order = evaluation_order(micro_batch, rank, num_ranks);
  return {.seq_len = seq_len,
          .global_batch = order.global_batch,
          .first = order.first,
          .count = order.count,
          .micro_batch = order.micro_batch,
          .sampling = order.sampling};
}

void unpack(const TokenWindows& batch, std::span<std::int32_t> tokens,
            std::span<std::int32_t> targets) {
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
    : dataset_(dataset),
      config_(config),
      sampler_(order_of(config), num_windows(dataset, config)),
      slots_(static_cast<std::size_t>(std::max(config.depth, 0))),
      ahead_(sampler_.num_batches(), config.depth, config.num_threads,
             [this](std::int64_t batch, const std::stop_token& stop) { fill(batch, stop); }) {}

Loader::Slot& Loader::slot_of(std::int64_t batch) {
  return slots_[static_cast<std::size_t>(batch % config_.depth)];
}

TokenWindows Loader::next() {
  const std::int64_t batch = ahead_.next();
  const Slot& slot = slot_of(batch);
  return {.position = sampler_.position_of(batch),
          .seq_len = config_.seq_len,
          .num_targets = slot.num_targets,
          .type = dataset_.manifest().token_type,
          .stored = slot.stored,
          .rows = slot.rows};
}

void Loader::fill(std::int64_t batch, const std::stop_token& stop) {
  const std::vector<Sample> samples = sampler_.samples_of(batch);
  const std::int64_t seq_len = config_.seq_len, width = token_bytes();
  Slot& slot = slot_of(batch);
  slot.stored.resize(samples.size() * static_cast<std::size_t>((seq_len + 1) * width));
  slot.rows.resize(samples.size());
  std::int64_t at = 0;  // tokens of the slot filled so far
  slot.num_targets = 0;
  for (std::size_t row = 0; row < samples.size() && !stop.stop_requested();) {
    const std::int64_t begin = samples[row].row * seq_len;
    std::int64_t length = 0;  // of windows that lie side by side: one read
    for (; row < samples.size() && samples[row].row * seq_len == begin + length; length += seq_len)
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
