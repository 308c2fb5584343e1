#pragma once
#include "runtime/transport.h"

namespace fusor {

// The ranks laid out on named axes, fastest first: tp, cp, dp, pp, so that the ranks of a tensor
// group share a node. ep divides dp.
struct MeshShape {
  int dp = 1, tp = 1, pp = 1, cp = 1, ep = 1;
  bool operator==(const MeshShape&) const = default;
};

// This rank's group along each axis; an axis of size one is a group of one, which never
// communicates.
struct Mesh {
  MeshShape shape;
  Group world, dp;

  // Splits the world. Collective. Throws Error when the axes do not multiply to world.size(), or
  // when an axis is asked for that this version cannot split.
  static Mesh over(const Group& world, const MeshShape& shape);
};

}  // namespace fusor
