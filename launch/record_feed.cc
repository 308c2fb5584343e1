#include "launch/record_feed.h"

#include <algorithm>
#include <cstring>

#include "launch/task.h"
#include "runtime/target.h"

namespace fusor {
namespace {

std::vector<std::int64_t> sample_bytes(const BatchShape& shape) {
  std::vector<std::int64_t> bytes;
  for (const Field& field : shape.fields)
    bytes.push_back(num_elements(field.shape) / shape.samples *
                    static_cast<std::int64_t>(size_of(field.dtype)));
  return bytes;
}

// Leaves out the targets of samples that are not there.
void ignore_invalid(RecordBatch& batch, std::size_t target) {
  for (std::int64_t i = 0; i < batch.size(); ++i)
    if (!batch.valid[static_cast<std::size_t>(i)])
      std::ranges::fill(batch.at<std::int32_t>(target, i), kIgnoredTarget);
}

std::shared_ptr<RecordLoader> loader_of(const RecordFeed& feed, const BatchSampler& sampler) {
  return std::make_shared<RecordLoader>(
      RecordLoaderConfig{.num_batches = sampler.num_batches(),
                         .num_rows = feed.data->num_rows(),
                         .plan = plan_with(sampler, sample_bytes(feed.shape)),
                         .transform = feed.transform,
                         .complete =
                             [target = feed.target, then = feed.complete](RecordBatch& batch) {
                               ignore_invalid(batch, target);
                               if (then) then(batch);
                             },
                         .on_bad = feed.on_bad,
                         .num_threads = feed.num_threads,
                         .depth = feed.depth});
}

BatchSource batches_of(std::shared_ptr<RecordLoader> loader) {
  return [loader = std::move(loader)](const Batch& to) {
    const RecordBatch& batch = loader->next();
    for (std::size_t f = 0; f < batch.fields.size(); ++f)
      std::memcpy(to.values.at(f).raw(), batch.fields[f].data(), batch.fields[f].size());
    return static_cast<std::int64_t>(std::ranges::count(batch.valid, 1));
  };
}

}  // namespace

BatchSource training_batches(const RecordFeed& feed, const RunSize& size, const Mesh& mesh,
                             std::uint64_t seed, std::int64_t step) {
  const BatchOrder order{.global_batch = size.global_batch,
                         .first = first_micro(size, mesh) * size.micro_batch,
                         .count = size.accumulation * size.micro_batch,
                         .micro_batch = size.micro_batch,
                         .start_step = step,
                         .sampling = Sampling::shuffled,
                         .seed = seed};
  return batches_of(loader_of(feed, BatchSampler(order, feed.data->num_rows())));
}

HeldOut held_out_batches(const RecordFeed& feed, const RunSize& size, const Mesh& mesh) {
  const BatchSampler sampler(evaluation_order(size.micro_batch, mesh.place.dp, mesh.shape.dp),
                             feed.data->num_rows());
  const auto shape = std::make_shared<const BatchShape>(feed.shape);
  return {.count = sampler.num_steps(),
          .next = batches_of(loader_of(feed, sampler)),
          .shape_of = [shape](std::int64_t) -> const BatchShape& { return *shape; }};
}

}  // namespace fusor
