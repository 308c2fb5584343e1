#include "parallel/mesh.h"

#include <algorithm>

#include "runtime/nearest.h"

namespace fusor {
namespace {

void check(const MeshShape& s, int world) {
  require(std::min({s.tp, s.cp, s.dp, s.pp, s.ep}) > 0 && s.size() == world, "dp ", s.dp, " x tp ",
          s.tp, " x pp ", s.pp, " x cp ", s.cp, " is ", s.size(), " ranks, but there are ", world);
  require(s.dp % s.ep == 0, "parallel.ep ", s.ep, " does not divide dp ", s.dp,
          ", the nearest that works: ", nearest_divisors(s.dp, s.ep));
  if (s.shard == 0) return;
  require(s.shard > 0 && s.dp * s.cp % s.shard == 0, "parallel.shard ", s.shard,
          " does not divide dp ", s.dp, " x cp ", s.cp, " = ", s.dp * s.cp,
          ", the nearest that works: ", nearest_divisors(s.dp * s.cp, s.shard));
}

}  // namespace

MeshPlace place_of(const MeshShape& s, int rank) {
  return {.tp = rank % s.tp,
          .cp = rank / s.tp % s.cp,
          .dp = rank / (s.tp * s.cp) % s.dp,
          .pp = rank / (s.tp * s.cp * s.dp)};
}

int rank_at(const MeshShape& s, const MeshPlace& p) {
  return ((p.pp * s.dp + p.dp) * s.cp + p.cp) * s.tp + p.tp;
}

Mesh Mesh::over(const Group& world, const MeshShape& shape, bool sequence) {
  check(shape, world.size());
  const MeshShape& s = shape;
  const int shard = s.shard > 0 ? s.shard : s.dp * s.cp;
  // The ranks that `color` maps to the same number as this one.
  const auto along = [&](const char* name, int size, auto&& color) {
    if (size == 1) return Group(self_transport(name));
    std::vector<int> colors;
    for (int rank = 0; rank < world.size(); ++rank) colors.push_back(color(place_of(s, rank)));
    return world.split(colors, name);
  };
  const auto data_index = [&](const MeshPlace& p) { return p.dp * s.cp + p.cp; };
  const auto weight = [&](const MeshPlace& p) { return p.pp * s.tp + p.tp; };
  return {
      .shape = s,
      .place = place_of(s, world.rank()),
      .sequence = sequence && s.tp > 1,
      .world = world,
      .tp = along("tp", s.tp, [&](MeshPlace p) { return p.tp = 0, rank_at(s, p); }),
      .cp = along("cp", s.cp, [&](MeshPlace p) { return p.cp = 0, rank_at(s, p); }),
      .dp = along("dp", s.dp, [&](MeshPlace p) { return p.dp = 0, rank_at(s, p); }),
      .pp = along("pp", s.pp, [&](MeshPlace p) { return p.pp = 0, rank_at(s, p); }),
      .ep = along("ep", s.ep, [&](MeshPlace p) { return p.dp -= p.dp % s.ep, rank_at(s, p); }),
      .data = along("data", s.dp * s.cp, weight),
      .shard = along(
          "shard", shard,
          [&](const MeshPlace& p) { return weight(p) * s.dp * s.cp + data_index(p) / shard; }),
      .replicas = along(
          "replicas", s.dp * s.cp / shard,
          [&](const MeshPlace& p) { return weight(p) * s.dp * s.cp + data_index(p) % shard; }),
      .expert_data = along("expert_data", s.dp / s.ep * s.cp,
                           [&](MeshPlace p) { return p.cp = 0, p.dp %= s.ep, rank_at(s, p); }),
  };
}

}  // namespace fusor
