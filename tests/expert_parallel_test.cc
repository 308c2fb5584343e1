// A GPT whose experts are spread over ep, alone and with other axes, against the same GPT on one
// rank with all micro-batches one after the other.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/gpt_on_mesh.h"
#include "tests/thrown_by.h"

namespace fusor {
namespace {

using namespace gpt_on_mesh;

struct Case {
  std::string name;
  MeshShape shape;
  bool sequence;
  friend void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }
};

class ExpertParallel : public testing::TestWithParam<Case> {};
INSTANTIATE_TEST_SUITE_P(
    , ExpertParallel,
    testing::Values(Case{"dp4", {.dp = 4}, false}, Case{"dp2_ep2", {.dp = 2, .ep = 2}, false},
                    Case{"dp4_ep2", {.dp = 4, .ep = 2}, false},
                    Case{"dp4_ep4", {.dp = 4, .ep = 4}, false},
                    Case{"dp2_ep2_tp2", {.dp = 2, .tp = 2, .ep = 2}, false},
                    Case{"dp2_ep2_cp2", {.dp = 2, .cp = 2, .ep = 2}, false},
                    Case{"dp2_ep2_cp2_tp2_sequence", {.dp = 2, .tp = 2, .cp = 2, .ep = 2}, true}),
    [](const auto& test) { return test.param.name; });

TEST_P(ExpertParallel, LossAndGradientsAreThoseOfOneRank) {
  constexpr int kMicros = 4;
  const auto& [name, shape, sequence] = GetParam();
  GptConfig classic_experts = classic();
  classic_experts.experts = 4, classic_experts.experts_per_token = 1;
  for (const GptConfig& config : {classic_experts, sparse()})
    for (const auto& [dtype, within] : {std::pair{DType::f64, 1e-12}, {DType::f32, 1e-5}})
      expect_same(run(config, dtype, shape, sequence, kMicros),
                  run(config, dtype, {}, false, kMicros), within);
}

TEST(ExpertParallelConfig, WhatCannotBeSplitNamesTheKeyAndTheNearestThatWorks) {
  EXPECT_EQ(thrown_by([] { require_expert_parallel(resolve({.experts = 8}), 6); }),
            "parallel.ep 6 does not divide model.experts 8, the nearest that works: 4 or 8");
  EXPECT_EQ(thrown_by([] { require_expert_parallel(resolve({}), 2); }),
            "parallel.ep 2 splits experts, but model.experts is 0, the nearest that works: 1");
  require_expert_parallel(resolve({.experts = 8}), 4);
  require_expert_parallel(resolve({}), 1);
}

}  // namespace
}  // namespace fusor
