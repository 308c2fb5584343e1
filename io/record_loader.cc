#include "io/record_loader.h"

#include <algorithm>
#include <utility>

#include "runtime/error.h"

namespace fusor {

std::function<BatchPlan(std::int64_t)> plan_with(const BatchSampler& sampler,
                                                 std::vector<std::int64_t> sample_bytes) {
  return [sampler, bytes = std::move(sample_bytes)](std::int64_t batch) -> BatchPlan {
    return {sampler.samples_of(batch), bytes};
  };
}

RecordLoader::RecordLoader(RecordLoaderConfig config)
    : config_(std::move(config)),
      slots_(static_cast<std::size_t>(std::max(config_.depth, 0))),
      ahead_(config_.num_batches, config_.depth, config_.num_threads,
             [this](std::int64_t batch, const std::stop_token& stop) { fill(batch, stop); }) {}

RecordBatch& RecordLoader::slot_of(std::int64_t batch) {
  return slots_[static_cast<std::size_t>(batch % config_.depth)];
}

RecordBatch& RecordLoader::next() {
  RecordBatch& batch = slot_of(ahead_.next());
  num_bad_ += std::ssize(batch.faults);
  return batch;
}

void RecordLoader::fill(std::int64_t index, const std::stop_token& stop) {
  RecordBatch& batch = slot_of(index);
  BatchPlan plan = config_.plan(index);
  batch.samples = std::move(plan.samples);
  batch.valid.assign(batch.samples.size(), 0);
  batch.faults.clear();
  batch.fields.resize(plan.sample_bytes.size());
  for (std::size_t f = 0; f < batch.fields.size(); ++f)
    batch.fields[f].assign(static_cast<std::size_t>(plan.sample_bytes[f]) * batch.samples.size(),
                           std::byte{0});
  for (std::int64_t i = 0; i < batch.size() && !stop.stop_requested(); ++i)
    if (batch.samples[static_cast<std::size_t>(i)].row < config_.num_rows) fill_sample(batch, i);
  if (config_.complete && !stop.stop_requested()) config_.complete(batch);
}

void RecordLoader::fill_sample(RecordBatch& batch, std::int64_t i) const {
  try {
    config_.transform(batch, i);
    batch.valid[static_cast<std::size_t>(i)] = 1;
  } catch (const Error& error) {
    if (config_.on_bad == OnBadSample::fail) throw;
    batch.faults.emplace_back(error.what());
    for (std::size_t f = 0; f < batch.fields.size(); ++f)
      std::ranges::fill(batch.at<std::byte>(f, i), std::byte{0});
  }
}

}  // namespace fusor
