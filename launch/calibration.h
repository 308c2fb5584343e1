#pragma once
#include "parallel/cluster.h"
#include "runtime/world.h"

namespace fusor {

// The machine at hand as a cluster of its own kind: peaks and efficiencies of matrix products,
// attention and streaming, measured with this rank's threads while all ranks of the world do the
// same; latency and bandwidth of the transport, measured by all-reduces of the world where it has
// several ranks (they count as inside a node if one host holds them all, and else between nodes).
// Takes about ten seconds. Collective; the same on every rank.
Cluster calibrate(const World& world);

}  // namespace fusor
