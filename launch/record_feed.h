#pragma once
#include <functional>
#include <memory>

#include "io/record_dataset.h"
#include "io/record_loader.h"
#include "launch/batch.h"
#include "launch/config.h"
#include "launch/evaluation.h"
#include "parallel/mesh.h"

namespace fusor {

// How the rows of a dataset become micro-batches of one shape. Field f of the loader's batch is
// field f of the shape, its bytes a sample's after another's.
struct RecordFeed {
  std::shared_ptr<const RecordDataset> data;
  BatchShape shape;
  // See RecordLoaderConfig. Of a sample that is not valid, all is zero but for the field `target`,
  // i32, which is kIgnoredTarget.
  std::function<void(RecordBatch&, std::int64_t i)> transform;
  std::function<void(RecordBatch&)> complete{};
  std::size_t target = 0;
  OnBadSample on_bad = OnBadSample::fail;
  int num_threads = 1, depth = 4;
};

// What a step takes of the endless sequence of samples, of which this rank's micro-batches are its
// copy's (Mesh::dp). A micro-batch's targets are its valid samples.
BatchSource training_batches(const RecordFeed& feed, const RunSize& size, const Mesh& mesh,
                             std::uint64_t seed, std::int64_t step);
// Each sample once over all copies.
HeldOut held_out_batches(const RecordFeed& feed, const RunSize& size, const Mesh& mesh);

}  // namespace fusor
