// A GPT whose weights are split over tp, with and without sequence parallelism, against the same
// GPT on one rank.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "ops/row_map.h"
#include "runtime/trace.h"
#include "runtime/world.h"
#include "tests/gpt_on_mesh.h"
#include "tests/near.h"
#include "tests/thrown_by.h"

namespace fusor {
namespace {

using namespace gpt_on_mesh;
using testing::HasSubstr;

struct Case {
  std::string name;
  GptConfig config;
  int tp;
  bool sequence;
  friend void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }
};

std::vector<Case> cases() {
  std::vector<Case> all;
  for (const int tp : {2, 4})
    for (const bool sequence : {false, true}) {
      const std::string layout = "_tp" + std::to_string(tp) + (sequence ? "_sequence" : "");
      all.push_back({"classic" + layout, classic(), tp, sequence});
      all.push_back({"modern" + layout, modern(), tp, sequence});
      all.push_back({"sparse" + layout, sparse(), tp, sequence});
    }
  return all;
}

class TensorParallel : public testing::TestWithParam<Case> {};
INSTANTIATE_TEST_SUITE_P(, TensorParallel, testing::ValuesIn(cases()),
                         [](const auto& test) { return test.param.name; });

TEST_P(TensorParallel, LossAndGradientsAreThoseOfOneRank) {
  const auto& [name, config, tp, sequence] = GetParam();
  for (const auto& [dtype, within] : {std::pair{DType::f64, 1e-12}, {DType::f32, 1e-5}})
    expect_same(run(config, dtype, {.tp = tp}, sequence), run(config, dtype, {}), within);
}

TEST_P(TensorParallel, LogitsAreTheColumnsOfThisRanksWords) {
  const auto& [name, config, tp, sequence] = GetParam();
  const auto logits = [&](const Mesh& mesh) {
    Gpt gpt(config, mesh);
    for (Parameter* p : parameters_of(gpt)) bind(*p, DType::f64, Device());
    return gpt.logits(batch_of(RowMap::whole(0, kSeqLen), Device()).flat("tokens"), kSamples, {})
        .value();
  };
  const Tensor whole = logits({});
  run_ranks(tp, [&, tp = tp, sequence = sequence](World& world) {
    const Tensor mine = logits(Mesh::over(world.group(), {.tp = tp}, sequence));
    const std::int64_t cols = mine.dim(1), larger = kWords % tp, rank = world.rank();
    EXPECT_EQ(cols, kWords / tp + (rank < larger));
    const std::int64_t first = rank * (kWords / tp) + std::min(rank, larger);
    const std::vector<double> got = doubles(mine), want = doubles(whole);
    for (std::int64_t i = 0; i < mine.size(); ++i)
      ASSERT_NEAR(got[static_cast<std::size_t>(i)],
                  want[static_cast<std::size_t>(i / cols * kWords + first + i % cols)], 1e-12);
  });
}

// Passes on what it is asked, and keeps a note of it.
class Recorder final : public Transport {
 public:
  Recorder(Group inner, std::vector<std::string>& calls)
      : Transport(inner.rank(), inner.size(), inner.name()), inner_(inner), calls_(calls) {}
  std::unique_ptr<Transport> split(const std::vector<int>&, std::string) override { return {}; }

 private:
  Pending start(CommCall call) override {
    calls_.push_back(std::string(name_of(call.kind)) + " " + std::string(call.what) + " " +
                     std::to_string(call.in.size()));
    if (call.kind == CommKind::all_reduce) return inner_->all_reduce(call.in, call.op, call.what);
    if (call.kind == CommKind::all_gather) return inner_->all_gather(call.in, call.out, call.what);
    EXPECT_EQ(call.kind, CommKind::reduce_scatter);
    return inner_->reduce_scatter(call.in, call.out, call.what);
  }
  Group inner_;
  std::vector<std::string>& calls_;
};

TEST_P(TensorParallel, CallsAreThoseOfTheRehearsal) {
  const auto& [name, config, tp, sequence] = GetParam();
  const auto play = [&, tp = tp, sequence = sequence](const Group& world, const Device& device) {
    std::vector<std::string> calls;
    Mesh mesh;
    mesh.tp = Group(std::make_shared<Recorder>(world, calls));
    mesh.sequence = sequence;
    Gpt gpt(GetParam().config, mesh);
    for (Parameter* p : parameters_of(gpt)) bind(*p, DType::f32, device);
    train(gpt, mesh, device);
    return calls;
  };
  run_ranks(tp, [&](World& world) {
    Trace trace;
    const auto rehearsed =
        play(meta_group(trace, world.rank(), world.size(), "tp"), Device::meta(trace));
    EXPECT_EQ(play(world.group(), Device()), rehearsed);
    EXPECT_THAT(rehearsed, testing::Contains(HasSubstr("block.1/attn/")));
  });
}

// 8 rows of 16 over 4 ranks: what stays is this rank's product, but not the rows it was made from.
TEST(ColumnLinear, KeepsItsOwnRowsAlone) {
  Trace trace;
  const Device meta = Device::meta(trace);
  Mesh mesh;
  mesh.tp = meta_group(trace, 0, 4, "tp");
  mesh.sequence = true;
  ColumnLinear layer({{"up", 64}}, 16, 0.02, true, TensorRegion(mesh));
  bind(layer.w, DType::f32, meta), bind(*layer.b, DType::f32, meta);
  Tape tape;
  const Var x = Var::input(Tensor({2, 16}, DType::f32, meta), &tape, true);
  const std::size_t before = trace.events.size();
  const Var y = layer(x);
  std::map<std::uint64_t, std::size_t> alive;
  for (std::size_t i = before; i < trace.events.size(); ++i) {
    if (const auto* a = std::get_if<AllocEvent>(&trace.events[i])) alive[a->id] = a->bytes;
    if (const auto* r = std::get_if<ReleaseEvent>(&trace.events[i])) alive.erase(r->id);
  }
  EXPECT_EQ(y.shape(), (Shape{8, 16}));
  ASSERT_EQ(alive.size(), 1);
  EXPECT_EQ(alive.begin()->second, y.value().bytes());
}

TEST(Gpt, TellsTheShapesThatItsPartsReturn) {
  for (const bool sequence : {false, true}) {
    Trace trace;
    const Device meta = Device::meta(trace);
    const Group world = meta_group(trace, 3, 4, "world");
    Gpt gpt(modern(), Mesh::over(world, {.tp = 2, .cp = 2}, sequence));
    for (Parameter* p : parameters_of(gpt)) bind(*p, DType::f32, meta);
    const Batch batch = Batch::empty(token_batch(2, RowMap::zigzag(0, 8, 1, 2)), meta);
    Var x;
    for (int part = 0; part < 4; ++part) {
      x = gpt.run(part, {x}, batch, {});
      EXPECT_EQ(x.shape(), gpt.output_shape(part, batch.shape)) << part;
    }
  }
}

TEST(TensorParallelConfig, WhatCannotBeSplitNamesTheKeyAndTheNearestThatWorks) {
  const auto refusal = [](GptConfig config, int tp) {
    return thrown_by([&] { require_tensor_parallel(resolve(config), tp); });
  };
  EXPECT_THAT(refusal({.width = 64, .heads = 4}, 3),
              HasSubstr("parallel.tp 3 does not divide model.heads 4, the nearest that works: 4"));
  EXPECT_THAT(refusal({.width = 64, .heads = 8, .kv_heads = 2}, 8),
              HasSubstr("tp 8 does not divide model.kv_heads 2, the nearest that works: 2"));
  EXPECT_THAT(refusal({.width = 64, .heads = 8, .mlp_hidden = 6}, 4),
              HasSubstr("tp 4 does not divide model.mlp_hidden 6, the nearest that works: 2"));
  EXPECT_THAT(refusal({.vocab_size = 2, .width = 64, .heads = 4}, 4),
              HasSubstr("tp 4 is more than model.vocab_size 2, the nearest that works: 2"));
  require_tensor_parallel(resolve({}), 12);
}

}  // namespace
}  // namespace fusor
