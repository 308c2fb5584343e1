#include <algorithm>

#include "ops/add.h"
#include "ops/fill.h"
#include "parallel/gradient_reducer.h"
#include "parallel/reduction_tree.h"

namespace fusor {
namespace {

class ExactReducer final : public GradientReducer {
 public:
  ExactReducer(const ParameterStore& store, const Group& dp, std::int64_t micros,
               std::int64_t bucket_bytes)
      : store_(store),
        dp_(dp),
        leaves_(micros * dp.size()),
        local_(plan_local_sums(leaves_, dp.rank() * micros, micros)) {
    const Tensor& gradients = store.gradients();
    buffers_.push_back(gradients);
    const Owned owned(gradients.device(), Owner::gradients);
    const Scope scope(gradients.device(), "exact sums");
    while (static_cast<std::int64_t>(buffers_.size()) < local_.num_buffers) {
      buffers_.push_back(empty_like(gradients));
      ops::fill(buffers_.back(), 0);  // the padding between parameters stays zero
    }
    for (int rank = 0; rank < dp.size(); ++rank) {
      held_.push_back(plan_local_sums(leaves_, rank * micros, micros).held);
      rounds_ = std::max(rounds_, held_.back().size());
    }
    const auto element = static_cast<std::int64_t>(size_of(gradients.dtype()));
    const std::int64_t unit = dp.size() * ParameterStore::kAlignment;
    bucket_ = std::max(bucket_bytes / element / unit, std::int64_t{1}) * unit;
  }

  void begin_micro(std::int64_t i) override {
    store_.direct_gradients(buffers_[index(local_.target, i)]);
  }
  void end_micro(std::int64_t i) override {
    store_.zero_unused_gradients();
    for (const TreeAdd& add : local_.after[static_cast<std::size_t>(i)])
      ops::add_into(buffers_[static_cast<std::size_t>(add.to)],
                    buffers_[static_cast<std::size_t>(add.from)], true);
  }
  void finish() override {
    if (dp_.size() == 1) return;  // the root is in buffer 0
    for (std::int64_t begin = 0; begin < store_.size(); begin += bucket_)
      reduce(begin, std::min(bucket_, store_.size() - begin));
  }

 private:
  static std::size_t index(const std::vector<std::int64_t>& values, std::int64_t i) {
    return static_cast<std::size_t>(values[static_cast<std::size_t>(i)]);
  }

  // Each rank receives its slice of every rank's held nodes, adds them in the tree's order, and
  // sends the sum to all. A rank that holds fewer nodes than another fills the round; nobody reads
  // that.
  void reduce(std::int64_t begin, std::int64_t size) {
    const Tensor& gradients = buffers_[0];
    const std::int64_t slice = size / dp_.size();
    const Owned owned(gradients.device(), Owner::communication);
    std::vector<Tensor> received;
    std::vector<Pending> pending;
    for (std::size_t round = 0; round < rounds_; ++round) {
      received.emplace_back(Shape{size}, gradients.dtype(), gradients.device());
      const Tensor& from = buffers_[std::min(round, buffers_.size() - 1)];
      pending.push_back(
          dp_->all_to_all(from.slice(begin, {size}), received.back(), "gradients/exact slices"));
    }
    for (Pending& p : pending) p.wait();
    const Tensor sum = add_slices(received, slice);
    dp_->all_gather(sum, gradients.slice(begin, {size}), "gradients/exact sums").wait();
  }

  Tensor add_slices(const std::vector<Tensor>& received, std::int64_t slice) const {
    std::vector<TreeNode> nodes;
    std::vector<Tensor> parts;
    for (std::size_t rank = 0; rank < held_.size(); ++rank)
      for (std::size_t round = 0; round < held_[rank].size(); ++round) {
        nodes.push_back(held_[rank][round]);
        parts.push_back(received[round].slice(static_cast<std::int64_t>(rank) * slice, {slice}));
      }
    const auto [adds, root] = plan_root_sum(leaves_, nodes);
    for (const TreeAdd& add : adds)
      ops::add_into(parts[static_cast<std::size_t>(add.to)],
                    parts[static_cast<std::size_t>(add.from)], true);
    return parts[static_cast<std::size_t>(root)];
  }

  const ParameterStore& store_;
  Group dp_;
  std::int64_t leaves_;
  LocalSums local_;
  std::vector<Tensor> buffers_;              // flat gradients; [0] is the store's own
  std::vector<std::vector<TreeNode>> held_;  // by rank, what it holds after its own sums
  std::size_t rounds_ = 0;                   // the most nodes that any rank holds
  std::int64_t bucket_ = 0;                  // elements
};

}  // namespace

std::unique_ptr<GradientReducer> make_exact_reducer(const ParameterStore& store, const Group& dp,
                                                    std::int64_t micros,
                                                    std::int64_t bucket_bytes) {
  return std::make_unique<ExactReducer>(store, dp, micros, bucket_bytes);
}

}  // namespace fusor
