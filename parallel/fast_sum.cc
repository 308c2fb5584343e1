#include "ops/add.h"
#include "parallel/bucket_sum.h"

namespace fusor {
namespace {

class FastSum final : public BucketSum {
 public:
  FastSum(Bucket& bucket, std::int64_t micros)
      : BucketSum(bucket), micros_(micros), passing_(bucket.zero >= 2) {
    if (!passing_) flat_ = gradients();
    bucket.gradient = passing_ ? slice_of_gradients() : bucket.slice(flat_);
  }

  void direct(std::int64_t i) override {
    if (passing_)
      restart_later(flat_);
    else if (i == 0)
      restart(flat_);
  }
  void reduce(std::int64_t i) override {
    if (!passing_ && i + 1 < micros_) return;
    zero_unused(flat_);
    const CopyGroups& groups = bucket_.groups;
    const std::string what = "gradients/" + bucket_.name;
    pending_ = groups.shard.size() > 1
                   ? groups.shard->reduce_scatter(flat_, bucket_.slice(flat_), what)
                   : groups.replicas->all_reduce(flat_, ReduceOp::sum, what);
  }
  void settle(std::int64_t i) override {
    if (!passing_) return;
    pending_.wait();
    ops::add_into(bucket_.gradient, bucket_.slice(flat_), /*add=*/i > 0);
    restart_later(flat_);
    flat_ = {};
  }
  void start() override {
    if (bucket_.groups.shard.size() == 1) return;
    pending_.wait();
    pending_ = bucket_.groups.replicas->all_reduce(bucket_.gradient, ReduceOp::sum,
                                                   "gradients/" + bucket_.name);
  }
  void finish() override { pending_.wait(); }

 private:
  std::int64_t micros_;
  bool passing_;  // gradients that do not outlive their micro-batch
  Tensor flat_;   // [size]
  Pending pending_;
};

}  // namespace

std::unique_ptr<BucketSum> make_fast_sum(Bucket& bucket, std::int64_t micros) {
  return std::make_unique<FastSum>(bucket, micros);
}

}  // namespace fusor
