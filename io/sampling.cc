#include "io/sampling.h"

#include <limits>

#include "io/order.h"
#include "runtime/error.h"

namespace fusor {
namespace {

void check(const BatchOrder& o) {
  require(o.micro_batch > 0 && o.count > 0 && o.count % o.micro_batch == 0, "micro-batches of ",
          o.micro_batch, " do not divide a rank's batch of ", o.count);
  require(o.first >= 0 && o.first + o.count <= o.global_batch, "samples ", o.first, " to ",
          o.first + o.count, " are not in a global batch of ", o.global_batch);
  require(o.start_step >= 0, "a loader cannot start at step ", o.start_step);
}

}  // namespace

BatchOrder evaluation_order(std::int64_t micro_batch, int rank, int num_ranks) {
  return {.global_batch = micro_batch * num_ranks,
          .first = micro_batch * rank,
          .count = micro_batch,
          .micro_batch = micro_batch,
          .sampling = Sampling::once};
}

RandomKey Sample::key(std::uint64_t seed) const {
  const RandomKey of_epoch = random_key(seed, "data/sample", static_cast<std::uint64_t>(epoch));
  const auto words = philox(of_epoch, static_cast<std::uint64_t>(row));
  return {std::uint64_t{words[1]} << 32 | words[0]};
}

BatchSampler::BatchSampler(const BatchOrder& order, std::int64_t num_samples)
    : order_(order), num_samples_(num_samples) {
  check(order);
  require(num_samples > 0, "there are no samples to load");
}

std::int64_t BatchSampler::num_batches() const {
  if (order_.sampling != Sampling::once) return std::numeric_limits<std::int64_t>::max();
  return (num_steps() - order_.start_step) * (order_.count / order_.micro_batch);
}

std::int64_t BatchSampler::num_steps() const {
  require(order_.sampling == Sampling::once, "an endless loader has no number of steps");
  return (num_samples_ + order_.global_batch - 1) / order_.global_batch;
}

std::int64_t BatchSampler::position_of(std::int64_t batch) const {
  const std::int64_t per_step = order_.count / order_.micro_batch;
  return (order_.start_step + batch / per_step) * order_.global_batch + order_.first +
         batch % per_step * order_.micro_batch;
}

std::vector<Sample> BatchSampler::samples_of(std::int64_t batch) const {
  std::vector<Sample> samples(static_cast<std::size_t>(order_.micro_batch));
  std::int64_t position = position_of(batch);
  std::int64_t epoch = position / num_samples_;
  Permutation shuffled = epoch_order(order_.seed, epoch, num_samples_);
  for (Sample& sample : samples) {
    sample = {.position = position, .row = position};
    if (order_.sampling != Sampling::once) {
      if (position / num_samples_ > epoch)
        shuffled = epoch_order(order_.seed, ++epoch, num_samples_);
      sample.epoch = epoch;
      sample.row = position % num_samples_;
    }
    if (order_.sampling == Sampling::shuffled) sample.row = shuffled(sample.row);
    ++position;
  }
  return samples;
}

}  // namespace fusor
