#pragma once
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "io/loader.h"
#include "models/model.h"
#include "ops/row_map.h"
#include "runtime/transport.h"

namespace fusor {

// Where micro-batches come from: writes the next one, tokens and targets [samples * seq_len] of
// whole samples, some of which may be kIgnoredTarget. Empty in a rehearsal, which needs their shape
// alone.
using BatchSource =
    std::function<void(std::span<std::int32_t> tokens, std::span<std::int32_t> targets)>;
BatchSource batches_of(Loader& loader);

struct MicroShape {
  std::int64_t samples;
  RowMap rows;  // the tokens of each sample that this rank takes; of samples 0, 1, ...
};

// Where this rank's share of a micro-batch waits for its device, in memory that is kept from one
// step to the next.
class StagedBatch {
 public:
  // `vocab`: token ids are below it.
  StagedBatch(const MicroShape& shape, std::int64_t vocab, const Device& device);
  // Takes the next micro-batch; what upload() queued before must be done. Throws Error on a token
  // that the model does not know.
  void fill(const BatchSource& next);
  // What fill() took, on the device: a copy, queued.
  TokenBatch upload() const;
  std::int64_t num_targets() const { return num_targets_; }  // ignored ones left out

 private:
  MicroShape shape_;
  std::int64_t vocab_;
  Device device_;
  Tensor tokens_, targets_;  // i32 [samples * rows.local_len], on the host
  std::int64_t num_targets_ = 0;
};

// Each rank's numbers, by rank; all pass as many. They travel by the host's memory on every device.
std::vector<std::vector<double>> gather_numbers(const Group& group, const std::vector<double>& mine,
                                                const char* what);

// The sum of all ranks' numbers, none negative, rounded once: the same bits whoever holds which.
double sum_over_ranks(const Group& group, const std::vector<double>& mine, const char* what);

struct Evaluation {
  double loss = 0;  // the sum over targets, nats
  std::int64_t targets = 0;
};

// The loss of the micro-batch that `next` gives, f64 [1]; undefined where another rank answers for
// it. One program, "eval".
using LossOf = std::function<Tensor(const std::function<TokenBatch()>& next)>;

// Runs `count` micro-batches of held-out data, each through `batch`, and sums over all ranks: the
// same bits for any split over ranks. An empty `next` is a rehearsal.
Evaluation evaluate(const LossOf& loss_of, std::int64_t count, const BatchSource& next,
                    StagedBatch& batch, const Group& group, const Device& device);

}  // namespace fusor
