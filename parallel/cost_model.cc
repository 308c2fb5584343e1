#include "parallel/cost_model.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <map>

#include "runtime/error.h"

namespace fusor {
namespace {

double transfer(const Link& link, double message, double moved) {
  return message > 0 ? moved / (link.bandwidth * link.efficiency.at(message)) : 0;
}

int log2_ceil(int n) { return std::bit_width(static_cast<unsigned>(n - 1)); }

// Of n ranks over links of one kind; `bytes` is the whole vector: what each has after an all-gather
// or before a reduce-scatter.
double flat(CommKind kind, double bytes, int n, const Link& link) {
  if (n == 1) return 0;
  const double ring = transfer(link, bytes, bytes * (n - 1) / n);
  const double hops = link.latency * (n - 1);
  switch (kind) {
    case CommKind::all_reduce:
      return std::min(2 * (hops + ring),
                      2 * (link.latency * log2_ceil(n) + transfer(link, bytes, bytes)));
    case CommKind::all_gather:
    case CommKind::reduce_scatter:
    case CommKind::all_to_all:
      return hops + ring;
    case CommKind::broadcast:
      return link.latency * log2_ceil(n) + transfer(link, bytes, bytes);
    case CommKind::send:
    case CommKind::recv:
      return link.latency + transfer(link, bytes, bytes);
    case CommKind::barrier:
      return 2 * link.latency * log2_ceil(n);
  }
  raise("no time of a call of kind " + std::to_string(static_cast<int>(kind)));
}

// The share of the whole vector that a rank moves inside its node, and between nodes.
struct Shares {
  double inside, between;
};
Shares shares_of(CommKind kind, const GroupLayout& layout) {
  if (kind == CommKind::all_to_all) return {1.0 / layout.nodes(), 1};
  return {1, 1.0 / layout.per_node};
}

}  // namespace

GroupLayout layout_of(std::span<const int> ranks, std::int64_t ranks_per_node) {
  std::map<std::int64_t, int> members;
  int most = 1;
  for (const int rank : ranks) most = std::max(most, ++members[rank / ranks_per_node]);
  return {static_cast<int>(ranks.size()), most};
}

double CostModel::seconds(const OpEvent& event) const {
  const Cluster& c = cluster_;
  const Cost& cost = event.cost;
  double rate = c.vector;
  if (event.op.starts_with("gemm"))
    rate = c.peak(compute_) * c.gemm.at(cost.flops) * (cost.aligned ? 1 : c.unaligned);
  else if (event.op.starts_with("attention"))
    rate = c.peak(compute_) * c.attention.at(cost.flops);
  const double compute = cost.flops > 0 ? cost.flops / rate : 0;
  const double move = cost.bytes > 0 ? cost.bytes / (c.bandwidth * c.streaming.at(cost.bytes)) : 0;
  return std::max(compute, move);
}

double CostModel::seconds(CommKind kind, double bytes, const GroupLayout& layout) const {
  if (layout.size == 1) return 0;
  const int nodes = layout.nodes();
  const double whole = kind == CommKind::all_gather ? bytes * layout.size : bytes;
  const double start = nodes > 1 ? cluster_.between.start : cluster_.inside.start;
  const Shares share = shares_of(kind, layout);
  return start + flat(kind, whole * share.inside, layout.per_node, cluster_.inside) +
         flat(kind, whole * share.between, nodes, cluster_.between);
}

}  // namespace fusor
