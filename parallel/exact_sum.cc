#include <algorithm>

#include "ops/add.h"
#include "parallel/bucket_sum.h"
#include "parallel/reduction_tree.h"

namespace fusor {
namespace {

class TreeSum final : public BucketSum {
 public:
  TreeSum(Bucket& bucket, std::int64_t micros, int cp)
      : BucketSum(bucket), passing_(bucket.zero >= 2 && micros == 1) {
    const int copies = bucket.groups.all.size(), dp = copies / cp;
    leaves_ = micros * copies;
    for (int block = 0; block < copies; ++block) {
      by_leaf_.push_back(block % dp * cp + block / dp);
      LocalSums sums = plan_local_sums(leaves_, block * micros, micros);
      held_.push_back(sums.held);
      rounds_ = std::max(rounds_, sums.held.size());
      if (by_leaf_.back() == bucket.groups.all.rank()) local_ = std::move(sums);
    }
    buffers_.resize(static_cast<std::size_t>(local_.num_buffers));
    for (Tensor& buffer : buffers_)
      if (!passing_) buffer = gradients();
    bucket.gradient = passing_ ? slice_of_gradients() : bucket.slice(buffers_[0]);
  }

  void direct(std::int64_t i) override {
    if (passing_)
      restart_later(buffers_[0]);
    else
      restart(target(i));
  }
  void reduce(std::int64_t i) override {
    zero_unused(target(i));
    for (const TreeAdd& add : local_.after[static_cast<std::size_t>(i)])
      ops::add_into(buffers_[static_cast<std::size_t>(add.to)],
                    buffers_[static_cast<std::size_t>(add.from)], true);
    if (passing_) exchange();
  }
  void settle(std::int64_t) override {
    if (!passing_) return;
    add_up();
    restart_later(buffers_[0]);
    buffers_[0] = {};
  }
  void start() override {
    if (!passing_) exchange();
  }
  void finish() override {
    if (!passing_) add_up();
  }

 private:
  Tensor& target(std::int64_t i) {
    return buffers_[static_cast<std::size_t>(local_.target[static_cast<std::size_t>(i)])];
  }

  // Each rank receives its piece of every rank's held nodes. A rank that holds fewer nodes than
  // another fills the round; nobody reads that.
  void exchange() {
    const CopyGroups& groups = bucket_.groups;
    if (groups.all.size() == 1) return;  // the root is in buffer 0
    const Owned owned(bucket_.device, Owner::communication);
    for (std::size_t round = 0; round < rounds_; ++round) {
      const Tensor from = by_rank(buffers_[std::min(round, buffers_.size() - 1)]);
      received_.push_back(empty_like(from));
      pending_.push_back(
          groups.all->all_to_all(from, received_.back(), "gradients/" + bucket_.name));
    }
  }

  // The buffer's pieces in the order of the ranks they belong to.
  Tensor by_rank(const Tensor& flat) const {
    const CopyGroups& groups = bucket_.groups;
    const int shards = groups.shard.size(), replicas = groups.replicas.size();
    if (shards == 1 || replicas == 1) return flat;
    const std::int64_t size = groups.piece_size(flat.size());
    Tensor ordered = empty_like(flat);
    for (int rank = 0; rank < groups.all.size(); ++rank)
      ops::add_into(ordered.slice(rank * size, {size}),
                    flat.slice((rank % shards * replicas + rank / shards) * size, {size}), false);
    return ordered;
  }

  // Adds what was received in the tree's order; copies that keep the same slice share the sums.
  void add_up() {
    const CopyGroups& groups = bucket_.groups;
    if (groups.all.size() == 1) return;
    for (Pending& p : pending_) p.wait();
    const std::int64_t size = groups.piece_size(bucket_.plan.size);
    std::vector<TreeNode> nodes;
    std::vector<Tensor> parts;
    for (std::size_t block = 0; block < held_.size(); ++block)
      for (std::size_t round = 0; round < held_[block].size(); ++round) {
        nodes.push_back(held_[block][round]);
        parts.push_back(received_[round].slice(by_leaf_[block] * size, {size}));
      }
    const auto [adds, root] = plan_root_sum(leaves_, nodes);
    for (const TreeAdd& add : adds)
      ops::add_into(parts[static_cast<std::size_t>(add.to)],
                    parts[static_cast<std::size_t>(add.from)], true);
    groups.replicas
        ->all_gather(parts[static_cast<std::size_t>(root)], bucket_.gradient,
                     "gradients/" + bucket_.name)
        .wait();
    pending_.clear();
    received_.clear();
  }

  bool passing_;  // gradients that do not outlive their micro-batch
  std::int64_t leaves_;
  std::vector<int> by_leaf_;                 // the ranks of `all` in the order of their leaves
  std::vector<std::vector<TreeNode>> held_;  // in that order, what each holds after its own sums
  std::size_t rounds_ = 0;                   // the most nodes that any rank holds
  LocalSums local_;                          // this rank's
  std::vector<Tensor> buffers_;              // [size]
  std::vector<Tensor> received_;             // [size], by round, while an exchange is under way
  std::vector<Pending> pending_;
};

}  // namespace

std::unique_ptr<BucketSum> make_exact_sum(Bucket& bucket, std::int64_t micros, int cp) {
  return std::make_unique<TreeSum>(bucket, micros, cp);
}

}  // namespace fusor
