#pragma once
#include "runtime/transport.h"

namespace fusor {

// The ranks laid out on named axes, fastest first: tp, cp, dp, pp, so that the ranks of a tensor
// group share a node. ep divides dp.
struct MeshShape {
  int dp = 1, tp = 1, pp = 1, cp = 1, ep = 1;
  int shard = 0;  // ranks that share one copy of what ZeRO shards; divides dp x cp. 0: all of these

  int size() const { return tp * cp * dp * pp; }
  bool operator==(const MeshShape&) const = default;
};

// A rank's index on each axis.
struct MeshPlace {
  int tp = 0, cp = 0, dp = 0, pp = 0;
  bool operator==(const MeshPlace&) const = default;
};
MeshPlace place_of(const MeshShape&, int rank);
int rank_at(const MeshShape&, const MeshPlace&);

// This rank's groups; one of size one never communicates. A default Mesh is one rank alone.
struct Mesh {
  MeshShape shape;
  MeshPlace place;
  bool sequence = false;  // rows are split over tp wherever no weight is
  Group world, tp, cp, dp, pp;
  Group ep;           // consecutive ranks of dp, each with its share of the experts
  Group data;         // dp x cp: the copies of this rank's weights
  Group shard;        // of data: the ranks between which ZeRO splits a copy
  Group replicas;     // of data: the ranks with the same part of a copy
  Group expert_data;  // dp / ep x cp: the copies of this rank's experts

  // Splits the world. Collective. Throws Error when the axes do not multiply to world.size(), ep
  // does not divide dp, or shard does not divide dp x cp.
  static Mesh over(const Group& world, const MeshShape& shape, bool sequence = false);
};

}  // namespace fusor
