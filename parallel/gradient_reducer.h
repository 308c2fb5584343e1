#pragma once
#include <memory>
#include <vector>

#include "parallel/bucket_sum.h"
#include "parallel/reduction_tree.h"

namespace fusor {

// Drives the sums of a store's buckets: a bucket is reduced when the last gradient in it is
// complete, while the backward pass goes on, and its memory given back when the next one is.
//   for each micro-batch i: begin_micro(i); backward; end_micro(i)
//   finish()
// Sums, not means: the optimizer divides by the number of targets.
class GradientReducer {
 public:
  GradientReducer(std::vector<Bucket>& buckets, Reduce reduce, std::int64_t micros, int cp);
  GradientReducer(const GradientReducer&) = delete;
  GradientReducer& operator=(const GradientReducer&) = delete;
  ~GradientReducer();

  void begin_micro(std::int64_t i);
  void end_micro(std::int64_t i);
  void finish();

 private:
  struct Entry {
    const BucketPlan* plan;
    std::unique_ptr<BucketSum> sum;
    std::size_t missing = 0;  // gradients still to come in this backward pass
  };
  void reduce_next();

  std::vector<Entry> entries_;
  std::int64_t micro_ = 0;
  std::size_t next_ = 0;  // the first bucket not yet reduced in this pass
};

}  // namespace fusor
