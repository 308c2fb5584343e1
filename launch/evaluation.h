#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "models/batch.h"
#include "runtime/transport.h"

namespace fusor {

// Where a rank's micro-batches come from: writes the next one to tensors of its shape on the host
// and returns how many targets it has, which the loss is divided by. Empty in a rehearsal, which
// needs shapes alone.
using BatchSource = std::function<std::int64_t(const Batch& to)>;

// The micro-batches of a run: what they look like, and which of them look how. Every rank's answer
// is the same.
struct Inputs {
  std::vector<BatchShape> shapes;
  // Of a micro-batch by its place in the global batch of a step; none: the first shape.
  std::function<std::size_t(std::int64_t step, std::int64_t micro)> shape_of{};

  const BatchShape& of(std::int64_t step, std::int64_t micro) const {
    return shapes.at(shape_of ? shape_of(step, micro) : 0);
  }
};

// What is held out, as micro-batches of a rank. All ranks have as many.
struct HeldOut {
  std::int64_t count = 0;
  BatchSource next{};
  std::function<const BatchShape&(std::int64_t i)> shape_of;
};

// Where a rank's micro-batch waits for its device, in memory that is kept from one step to the
// next.
class StagedBatch {
 public:
  explicit StagedBatch(const Device& device) : device_(device) {}
  // Takes the next micro-batch, of this shape; what upload() queued before must be done. With an
  // empty `next` it takes the shape alone.
  void fill(const BatchShape& shape, const BatchSource& next);
  // What fill() took, on the device: a copy, queued.
  Batch upload() const;
  const BatchShape& shape() const { return current_->shape; }
  std::int64_t num_targets() const { return num_targets_; }

 private:
  Device device_;
  std::map<std::string, Batch> staged_;  // on the host, by the name of their shape
  const Batch* current_ = nullptr;
  std::int64_t num_targets_ = 0;
};

// What each rank of a group passes, by rank; all pass as many. They travel by the host's memory on
// every device.
std::vector<std::vector<double>> gather_numbers(const Group& group, const std::vector<double>& mine,
                                                const char* what);

// The sum of all ranks' numbers, none negative, rounded once: the same bits whoever holds which.
double sum_over_ranks(const Group& group, const std::vector<double>& mine, const char* what);

struct Evaluation {
  double loss = 0;                 // the sum over targets, nats
  std::vector<double> measures{};  // the sums that the model gives besides
  std::int64_t targets = 0;
};

// The loss and measures of the micro-batch that `next` gives, f64 [1 + measures]; undefined where
// another rank answers for it. One program for each shape, "eval".
using LossOf = std::function<Tensor(const BatchShape&, const std::function<Batch()>& next)>;

// Sums over the held-out micro-batches of all ranks: the same bits for any split over ranks. In a
// rehearsal their source is empty.
Evaluation evaluate(const LossOf& loss_of, std::size_t measures, const HeldOut& data,
                    StagedBatch& batch, const Group& group, const Device& device);

}  // namespace fusor
