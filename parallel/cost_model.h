#pragma once
#include <span>

#include "parallel/cluster.h"
#include "runtime/trace.h"

namespace fusor {

// How the ranks of a communicator lie on the nodes: `per_node` of them on each.
struct GroupLayout {
  int size = 1, per_node = 1;

  int nodes() const { return (size + per_node - 1) / per_node; }
  bool operator==(const GroupLayout&) const = default;
};

// Of a group of these ranks of the world. Where nodes hold different shares of it, the largest
// share counts.
GroupLayout layout_of(std::span<const int> ranks, std::int64_t ranks_per_node);

// Seconds of operators and collectives on a cluster.
//
// An operator takes as long as its arithmetic or its memory traffic, whichever is longer (the
// roofline of Williams et al., CACM 2009), each at the share of the peak its size reaches.
//
// Collectives follow the alpha-beta model: rings (Patarasuk and Yuan, JPDC 2009), two trees where
// they are faster between nodes (Sanders, Speck and Traff, Parallel Computing 2009), all-to-all in
// pairs, broadcast down a binomial tree. A group that spans nodes with several ranks on each works
// in two levels: inside every node, then between the nodes with as many rings as there are ranks on
// one, each with its share of the bytes (Cho et al., BlueConnect, 2019).
class CostModel {
 public:
  CostModel(Cluster cluster, DType compute) : cluster_(std::move(cluster)), compute_(compute) {}

  // compute: the dtype of the run's matrix products.
  double seconds(const OpEvent&) const;
  // bytes: of this rank's operand `in` (recv: of what arrives). Of send and recv, layout says
  // whether the two share a node: {2, 2} or {2, 1}.
  double seconds(CommKind, double bytes, const GroupLayout&) const;

  const Cluster& cluster() const { return cluster_; }
  double peak() const { return cluster_.peak(compute_); }  // flop/s of a rank's matrix products

 private:
  Cluster cluster_;
  DType compute_;
};

}  // namespace fusor
