// What is computed from a rehearsal, and the reduction of gradients over ranks.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "ops/fill.h"
#include "parallel/comm_plan.h"
#include "parallel/gradient_reducer.h"
#include "parallel/ledger.h"
#include "parallel/mesh.h"
#include "runtime/world.h"
#include "tests/near.h"

namespace fusor {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(Ledger, TellsOwnersAtTheFullestMoment) {
  Trace trace;
  const Device meta = Device::meta(trace);
  const auto tensor = [&](Owner owner, std::int64_t n) {
    const Owned owned(meta, owner);
    return Tensor({n}, DType::f32, meta);
  };
  const Tensor weights = tensor(Owner::weights, 16);
  {
    const Program program(meta, "step");
    const Scope layer(meta, "block.1");
    const Tensor kept = tensor(Owner::activations, 100);
    { const Tensor passing = tensor(Owner::workspace, 50); }
    const Tensor sent = tensor(Owner::communication, 20);
  }
  const Ledger ledger = make_ledger(trace, plan_memory(trace));
  const auto at = [](const Ledger::Bytes& b, Owner o) { return b[static_cast<std::size_t>(o)]; };
  EXPECT_EQ(at(ledger.persistent, Owner::weights), 64);
  ASSERT_EQ(ledger.programs.size(), 1);
  EXPECT_EQ(at(ledger.programs[0].at_peak, Owner::activations), 400);
  EXPECT_EQ(at(ledger.programs[0].at_peak, Owner::workspace), 200);
  EXPECT_EQ(at(ledger.programs[0].at_peak, Owner::communication), 0);  // after the workspace
  EXPECT_EQ(ledger.programs[0].layers[0].scope, "block.1");
  EXPECT_EQ(ledger.arena, 64 + 448 + 200);
  std::ostringstream text;
  text << ledger;
  EXPECT_THAT(text.str(), HasSubstr("peak per rank: 712 bytes (712 B)"));
  EXPECT_EQ(readable_bytes(3 << 29), "1.50 GiB");
}

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

// Three weights; which of them a micro-batch uses depends on its global index.
struct Weights {
  Parameter a{"a", {5}, {}}, b{"b", {300}, {}}, c{"c", {7, 9}, {}};
  std::vector<Parameter*> all() { return {&a, &b, &c}; }
};

double contribution(std::int64_t micro, std::size_t weight, std::int64_t element) {
  return uniform(random_key(3, "gradient", static_cast<std::uint64_t>(micro)),
                 weight * 1000 + static_cast<std::uint64_t>(element));
}
bool uses(std::int64_t micro, std::size_t weight) { return (micro + weight) % 3 != 0; }

// One micro-batch's backward pass, through a tape, so that readiness is told as in a run.
void backward(std::int64_t micro, const std::vector<Parameter*>& weights) {
  Tape tape;
  const Var x = Var::input(Tensor({1}, DType::f64), &tape, true);
  Var y = x;
  for (std::size_t i = 0; i < weights.size(); ++i) {
    if (!uses(micro, i)) continue;
    y = record(Tensor({1}, DType::f64), {y, weights[i]->var},
               [=, up = y.grad(), dw = weights[i]->var.grad()](const Tensor& dy) {
                 dw.accumulate([&](const Tensor& to, bool add) {
                   for (std::int64_t e = 0; e < to.size(); ++e)
                     set(to, e, (add ? at(to, e) : 0) + contribution(micro, i, e));
                 });
                 up.pass(dy);
               });
  }
  tape.backward(y, Tensor({1}, DType::f64));
}

// The reduced gradients of 12 micro-batches, over `ranks`, as every rank sees them.
std::vector<double> reduced(int ranks, bool exact, std::int64_t bucket_bytes) {
  std::vector<std::vector<double>> results(static_cast<std::size_t>(ranks));
  run_ranks(ranks, [&](World& world) {
    Weights weights;
    const ParameterStore store(weights.all(), DType::f64, Device::heap(true), ranks);
    const std::int64_t micros = 12 / ranks;
    const auto reducer = (exact ? make_exact_reducer : make_fast_reducer)(store, world.group(),
                                                                          micros, bucket_bytes);
    for (int step = 0; step < 2; ++step) {
      for (std::int64_t i = 0; i < micros; ++i) {
        reducer->begin_micro(i);
        backward(world.rank() * micros + i, weights.all());
        reducer->end_micro(i);
      }
      gather_texts(world.group(), "loss", "as the trainer does");
      reducer->finish();
    }
    auto& mine = results[static_cast<std::size_t>(world.rank())];
    for (const ParameterStore::Slot& slot : store.slots())
      for (const double g : doubles(store.view(store.gradients(), slot))) mine.push_back(g);
  });
  for (const auto& other : results) EXPECT_EQ(other, results[0]);
  return results[0];
}

TEST(GradientReducer, SumsWhateverTheRanksAndBucketsAndUnusedWeights) {
  std::vector<double> expected;
  Weights weights;
  for (std::size_t i = 3; i-- > 0;)  // stores hold the last weight first
    for (std::int64_t e = 0; e < num_elements(weights.all()[i]->shape); ++e) {
      double sum = 0;
      for (std::int64_t micro = 0; micro < 12; ++micro)
        if (uses(micro, i)) sum += contribution(micro, i, e);
      expected.push_back(sum);
    }
  for (const int ranks : {1, 2, 3, 4})
    for (const std::int64_t bucket : {64, 1024, 1 << 20})
      for (const bool exact : {false, true}) {
        const std::vector<double> actual = reduced(ranks, exact, bucket);
        ASSERT_EQ(actual.size(), expected.size());
        for (std::size_t i = 0; i < actual.size(); ++i)
          ASSERT_NEAR(actual[i], expected[i], 1e-12) << ranks << " ranks, bucket " << bucket;
      }
}

TEST(GradientReducer, ExactGivesTheSameBitsForAnyRanksAndBuckets) {
  const std::vector<double> one = reduced(1, true, 1 << 20);
  for (const int ranks : {2, 3, 4, 6, 12})
    for (const std::int64_t bucket : {64, 1 << 20})
      EXPECT_EQ(reduced(ranks, true, bucket), one) << ranks << " ranks, bucket " << bucket;
}

}  // namespace
}  // namespace fusor
