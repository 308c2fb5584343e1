#pragma once
#include <cstdint>
#include <utility>
#include <vector>

// The order in which `reduce = exact` adds the micro-batches of a step. It is a binary tree over
// micro-batch indices 0..leaves-1 and nothing else: leaf pairs (0,1), (2,3), ... are added first,
// then pairs of pairs; a node without a right sibling moves up unchanged. So any split of the
// micro-batches over ranks and accumulation steps performs the same additions.
namespace fusor {

enum class Reduce { fast, exact };

// The sum of the leaves [index << level, (index + 1) << level), as far as they exist.
struct TreeNode {
  int level = 0;
  std::int64_t index = 0;
  bool operator==(const TreeNode&) const = default;
};

// One addition: buffer `to` (which holds `node`'s left child, and then node) += buffer `from`.
struct TreeAdd {
  std::int64_t to, from;
  bool operator==(const TreeAdd&) const = default;
};

// What a rank does with the leaves [first, first + count) it computes in turn. Leaf i is computed
// into buffer target[i]; then the additions after[i] run; at the end buffer b holds node held[b].
struct LocalSums {
  std::vector<std::int64_t> target;
  std::vector<std::vector<TreeAdd>> after;
  std::vector<TreeNode> held;
  std::int64_t num_buffers = 0;
};
LocalSums plan_local_sums(std::int64_t leaves, std::int64_t first, std::int64_t count);

// The additions that turn nodes covering all leaves, each in the buffer of its position, into the
// root, which ends in the returned second.
std::pair<std::vector<TreeAdd>, std::int64_t> plan_root_sum(std::int64_t leaves,
                                                            const std::vector<TreeNode>& nodes);

}  // namespace fusor
