#pragma once
#include <memory>

#include "parallel/parameter_store.h"
#include "runtime/transport.h"

namespace fusor {

// Sums the gradients of a step's micro-batches over this rank's accumulation and over dp, into
// ParameterStore::gradients(). Sums, not means: the optimizer divides by the number of targets.
//   for each micro-batch i: begin_micro(i); forward and backward; end_micro(i)
//   finish()
// Collective in end_micro of the last micro-batch, or before, and in finish(); other calls of dp
// may stand between the two.
class GradientReducer {
 public:
  virtual ~GradientReducer() = default;
  virtual void begin_micro(std::int64_t i) = 0;
  virtual void end_micro(std::int64_t i) = 0;
  virtual void finish() = 0;
};

// Adds micro-batches as they come and all-reduces buckets of gradients while the backward pass of
// the last micro-batch still runs: a bucket is sent when the last gradient in it is complete.
std::unique_ptr<GradientReducer> make_fast_reducer(const ParameterStore&, const Group& dp,
                                                   std::int64_t micros, std::int64_t bucket_bytes);

// Adds in the order of reduction_tree.h, so the bits do not depend on how the micro-batches are
// split over ranks and accumulation. Over dp: all-to-all, ordered local sum, all-gather, bucket by
// bucket: the bytes of a ring all-reduce. Needs up to log2(micros) + 1 gradient buffers (twice
// that, where a rank's first micro-batch is no multiple of a power of two).
std::unique_ptr<GradientReducer> make_exact_reducer(const ParameterStore&, const Group& dp,
                                                    std::int64_t micros, std::int64_t bucket_bytes);

}  // namespace fusor
