#pragma once
#include "launch/placement.h"
#include "parallel/cluster.h"
#include "runtime/world.h"

namespace fusor {

// The machine at hand as a cluster of its own kind: peaks and efficiencies of matrix products,
// attention and streaming, measured where the rank computes (on a CPU with its threads) while all
// ranks of the world do the same; what the host takes to issue an operator of a GPU; latency and
// bandwidth of the transport, measured by all-reduces of the world where it has several ranks (they
// count as inside a node if one host holds them all, and else between nodes). Takes ten seconds, or
// half a minute on a GPU. Collective; the same on every rank.
Cluster calibrate(const World& world, const Placement& placement);

}  // namespace fusor
