#pragma once
#include <cstdint>
#include <memory>

#include "parallel/bucket.h"

namespace fusor {

// Sums a bucket's gradients over a step's micro-batches and over the copies, into Bucket::gradient,
// which it allocates. All ranks make the same calls in the same order:
//   for each micro-batch i: direct(i); backward; reduce(i); settle(i)
//   start(); finish()
// Other buckets' calls may lie between any two.
class BucketSum {
 public:
  virtual ~BucketSum() noexcept(false) = default;  // see Pending
  // Sends the gradients of the backward pass to come where they belong.
  virtual void direct(std::int64_t i) = 0;
  // They are complete: begins what can be done with them.
  virtual void reduce(std::int64_t i) = 0;
  // Ends that, and gives back what memory it took.
  virtual void settle(std::int64_t i) = 0;
  // The same for what is left after the last micro-batch.
  virtual void start() = 0;
  virtual void finish() = 0;

 protected:
  explicit BucketSum(Bucket& bucket) : bucket_(bucket) {}
  Tensor slice_of_gradients() const;  // memory of this rank's slice
  Tensor gradients() const;           // of all slots; the padding is zero, and stays so in sums
  // The next backward pass overwrites what is in `flat`, all slots' memory.
  void restart(const Tensor& flat) const;
  // The same where `flat` is allocated when a gradient is first written, and outlives the pass.
  void restart_later(Tensor& flat) const;
  // Zeroes what no backward pass has written to since: weights that no sample used.
  void zero_unused(Tensor& flat) const;

  Bucket& bucket_;
};

// Adds micro-batches as they come, and the copies by reduce-scatter over shard and all-reduce over
// replicas. At zero = 2 and 3 the gradients of a micro-batch live from their first write until
// settle(); below, all the time.
std::unique_ptr<BucketSum> make_fast_sum(Bucket&, std::int64_t micros);

// Adds in the order of reduction_tree.h, so that the bits depend neither on zero nor on how the
// micro-batches are split over ranks and accumulation. Micro-batch i of rank (cp, dp) is leaf
// (cp ranks_of_dp + dp) micros + i. Over copies: all-to-all, ordered sum, all-gather: the bytes of
// a ring all-reduce. A rank's own micro-batches are added before those of others, so this holds up
// to log2(micros) + 1 whole buffers (twice that, where a rank's first leaf is no multiple of a
// power of two) at any zero; with one micro-batch and zero = 2 or 3 none outlives settle().
std::unique_ptr<BucketSum> make_exact_sum(Bucket&, std::int64_t micros, int cp);

}  // namespace fusor
