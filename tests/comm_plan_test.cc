#include "parallel/comm_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/world.h"

namespace fusor {
namespace {

using testing::HasSubstr;

Trace planned(int rank, int size, std::int64_t count) {
  Trace trace;
  const Group world = meta_group(trace, rank, size, "world");
  const Device meta = Device::meta(trace);
  world->all_reduce(Tensor({8}, DType::f32, meta), ReduceOp::sum, "gradients/bucket.0").wait();
  world->all_reduce(Tensor({count}, DType::f32, meta), ReduceOp::sum, "gradients/bucket.1").wait();
  return trace;
}

TEST(CommPlan, EqualPlansPassAndDifferentOnesNameTheCall) {
  EXPECT_EQ(planned_collectives(planned(0, 2, 4)),
            "1 all_reduce world f32 8 gradients/bucket.0\n"
            "2 all_reduce world f32 4 gradients/bucket.1\n");
  const auto compare = [](std::int64_t count_of_rank_2) {
    run_ranks(3, [&](World& world) {
      require_same_collectives(
          world.group(),
          planned_collectives(planned(world.rank(), 3, world.rank() == 2 ? count_of_rank_2 : 4)));
    });
  };
  compare(4);
  try {
    compare(5);
    FAIL();
  } catch (const Error& e) {
    EXPECT_THAT(e.what(),
                HasSubstr("ranks 0 and 2 would wait for each other: in line 2 of their "
                          "plans rank 0 has '2 all_reduce world f32 4 gradients/bucket.1' and rank "
                          "2 has "
                          "'2 all_reduce world f32 5 gradients/bucket.1'"));
  }
}

}  // namespace
}  // namespace fusor
