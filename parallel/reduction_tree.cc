#include "parallel/reduction_tree.h"

#include <algorithm>

#include "runtime/error.h"

namespace fusor {
namespace {

std::int64_t nodes_at(int level, std::int64_t leaves) {
  return (leaves + (std::int64_t{1} << level) - 1) >> level;
}

// A node that stands for its parent too: the left child of a parent without a right one.
TreeNode raised(TreeNode n, std::int64_t leaves) {
  while (nodes_at(n.level, leaves) > 1 && n.index % 2 == 0 &&
         n.index + 1 == nodes_at(n.level, leaves))
    n = {n.level + 1, n.index / 2};
  return n;
}

// Whether a, b are the left and right child of one node.
bool siblings(const TreeNode& a, const TreeNode& b) {
  return a.level == b.level && a.index % 2 == 0 && b.index == a.index + 1;
}

}  // namespace

LocalSums plan_local_sums(std::int64_t leaves, std::int64_t first, std::int64_t count) {
  require(0 <= first && count > 0 && first + count <= leaves, "micro-batches ", first, " to ",
          first + count, " of ", leaves);
  LocalSums plan;
  for (std::int64_t leaf = first; leaf < first + count; ++leaf) {
    plan.target.push_back(static_cast<std::int64_t>(plan.held.size()));
    plan.held.push_back(raised({0, leaf}, leaves));
    plan.num_buffers = std::max(plan.num_buffers, static_cast<std::int64_t>(plan.held.size()));
    auto& adds = plan.after.emplace_back();
    while (plan.held.size() > 1 && siblings(plan.held.end()[-2], plan.held.back())) {
      const auto to = static_cast<std::int64_t>(plan.held.size()) - 2;
      adds.push_back({to, to + 1});
      plan.held.pop_back();
      plan.held.back() = raised({plan.held.back().level + 1, plan.held.back().index / 2}, leaves);
    }
  }
  return plan;
}

std::pair<std::vector<TreeAdd>, std::int64_t> plan_root_sum(std::int64_t leaves,
                                                            const std::vector<TreeNode>& nodes) {
  struct Held {
    TreeNode node;
    std::int64_t buffer;
  };
  std::vector<TreeAdd> adds;
  std::vector<Held> stack;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    stack.push_back({raised(nodes[i], leaves), static_cast<std::int64_t>(i)});
    while (stack.size() > 1 && siblings(stack.end()[-2].node, stack.back().node)) {
      adds.push_back({stack.end()[-2].buffer, stack.back().buffer});
      stack.pop_back();
      TreeNode& left = stack.back().node;
      left = raised({left.level + 1, left.index / 2}, leaves);
    }
  }
  require(stack.size() == 1 && nodes_at(stack[0].node.level, leaves) == 1,
          "these sums do not cover ", leaves, " micro-batches");
  return {std::move(adds), stack[0].buffer};
}

}  // namespace fusor
