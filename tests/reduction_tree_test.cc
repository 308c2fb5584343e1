#include "parallel/reduction_tree.h"

#include <gtest/gtest.h>

#include <string>

#include "runtime/error.h"

namespace fusor {
namespace {

// Sums are written down as text, so that two are equal only if the same additions made them.
std::string sum_of(const std::string& a, const std::string& b) { return "(" + a + "+" + b + ")"; }

std::string reference(std::vector<std::string> leaves) {
  for (; leaves.size() > 1;) {
    std::vector<std::string> next;
    for (std::size_t i = 0; i < leaves.size(); i += 2)
      next.push_back(i + 1 < leaves.size() ? sum_of(leaves[i], leaves[i + 1]) : leaves[i]);
    leaves = std::move(next);
  }
  return leaves[0];
}

void run(const std::vector<TreeAdd>& adds, std::vector<std::string>& buffers) {
  for (const TreeAdd& add : adds) {
    auto& to = buffers.at(static_cast<std::size_t>(add.to));
    to = sum_of(to, buffers.at(static_cast<std::size_t>(add.from)));
  }
}

// What `ranks` ranks with leaves / ranks micro-batches each arrive at.
std::string split_over(std::int64_t leaves, std::int64_t ranks) {
  std::vector<TreeNode> nodes;
  std::vector<std::string> held;
  const std::int64_t count = leaves / ranks;
  for (std::int64_t rank = 0; rank < ranks; ++rank) {
    const LocalSums plan = plan_local_sums(leaves, rank * count, count);
    std::vector<std::string> buffers(static_cast<std::size_t>(plan.num_buffers));
    for (std::int64_t i = 0; i < count; ++i) {
      const auto at = static_cast<std::size_t>(i);
      buffers.at(static_cast<std::size_t>(plan.target.at(at))) = std::to_string(rank * count + i);
      run(plan.after.at(at), buffers);
    }
    nodes.insert(nodes.end(), plan.held.begin(), plan.held.end());
    held.insert(held.end(), buffers.begin(),
                buffers.begin() + static_cast<std::ptrdiff_t>(plan.held.size()));
  }
  const auto [adds, root] = plan_root_sum(leaves, nodes);
  run(adds, held);
  return held.at(static_cast<std::size_t>(root));
}

TEST(ReductionTree, AnySplitPerformsTheSameAdditions) {
  for (std::int64_t leaves = 1; leaves <= 24; ++leaves) {
    std::vector<std::string> names;
    for (std::int64_t i = 0; i < leaves; ++i) names.push_back(std::to_string(i));
    for (std::int64_t ranks = 1; ranks <= leaves; ++ranks) {
      if (leaves % ranks != 0) continue;
      EXPECT_EQ(split_over(leaves, ranks), reference(names)) << leaves << " over " << ranks;
    }
  }
}

TEST(ReductionTree, PowersOfTwoHoldOneNodeARankAndFewBuffers) {
  const LocalSums plan = plan_local_sums(/*leaves=*/32, /*first=*/8, /*count=*/8);
  EXPECT_EQ(plan.held, (std::vector<TreeNode>{{3, 1}}));
  EXPECT_EQ(plan.num_buffers, 4);
}

TEST(ReductionTree, RefusesSumsThatLeaveAGap) {
  EXPECT_THROW(plan_root_sum(4, {{1, 0}, {0, 3}}), Error);
  EXPECT_THROW(plan_local_sums(4, 2, 3), Error);
}

}  // namespace
}  // namespace fusor
