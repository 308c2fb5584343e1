#include "parallel/mesh.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/trace.h"
#include "runtime/world.h"

namespace fusor {
namespace {

using testing::ElementsAre;

TEST(Mesh, RefusesWhatItCannotSplit) {
  EXPECT_THROW(Mesh::over(Group(), {.dp = 2}), Error);
  EXPECT_THROW(Mesh::over(Group(), {.tp = 2}), Error);
  Trace trace;
  const Group world = meta_group(trace, 0, 6, "world");
  EXPECT_THROW(Mesh::over(world, {.dp = 6, .ep = 4}), Error);
  EXPECT_THROW(Mesh::over(world, {.dp = 6, .shard = 4}), Error);
  EXPECT_EQ(Mesh::over(Group(), {}).dp.size(), 1);
}

// Each rank tells its groups who it is, and hears whom each consists of.
TEST(Mesh, GroupsRunAlongTheirAxes) {
  const MeshShape shape{.dp = 4, .tp = 2, .pp = 2, .cp = 1, .ep = 2, .shard = 2};
  run_ranks(shape.size(), [&](World& world) {
    const Mesh mesh = Mesh::over(world.group(), shape);
    const auto members = [&](const Group& group) {
      const std::string me = std::to_string(world.rank()) + " ";
      std::string all;
      for (const std::string& name : gather_texts(group, me, "members")) all += name;
      return all;
    };
    std::vector<std::string> seen;
    for (const Group& g : {mesh.tp, mesh.cp, mesh.dp, mesh.pp, mesh.ep, mesh.data, mesh.shard,
                           mesh.replicas, mesh.expert_data})
      seen.push_back(members(g));
    if (world.rank() != 11) return;
    EXPECT_EQ(mesh.place, (MeshPlace{.tp = 1, .cp = 0, .dp = 1, .pp = 1}));
    EXPECT_EQ(rank_at(shape, mesh.place), 11);
    EXPECT_THAT(seen, ElementsAre("10 11 ", "11 ", "9 11 13 15 ", "3 11 ", "9 11 ", "9 11 13 15 ",
                                  "9 11 ", "11 15 ", "11 15 "));
  });
}

}  // namespace
}  // namespace fusor
