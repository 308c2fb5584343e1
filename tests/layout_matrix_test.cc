// The same run under every layout: those that split no sum to the bit, the others but for rounding.
#include <gtest/gtest.h>

#include "tests/layouts_of_gpt.h"

namespace fusor {
namespace {

using namespace layouts_of_gpt;

// Layouts that differ in dp, pp, schedule, zero, recompute and accumulation alone. With experts
// over ep, those of one dp: an expert adds what ep micro-batches bring at once.
struct Family {
  std::string name;
  std::vector<std::string> layouts;
};

struct Case {
  Kind kind;
  Family family;
  friend void PrintTo(const Case& c, std::ostream* out) { *out << c.family.name; }
};

TrialOutcome run(Kind kind, DType dtype, const std::string& layout) {
  return run_trial(trial_of(config_of(kind, dtype, layout)));
}

class LayoutMatrix : public testing::TestWithParam<Case> {};

TEST_P(LayoutMatrix, TheRunIsTheSame) {
  const auto& [kind, family] = GetParam();
  for (const auto& [dtype, within] : {std::pair{DType::f64, 1e-12}, {DType::f32, 1e-5}}) {
    const TrialOutcome serial = run(kind, dtype, "");
    std::optional<TrialOutcome> first;
    for (const std::string& layout : family.layouts) {
      SCOPED_TRACE(layout + (dtype == DType::f64 ? " in f64" : " in f32"));
      const TrialOutcome outcome = run(kind, dtype, layout);
      if (family.name.ends_with("copies"))
        expect_same_bits(outcome, serial);
      else
        expect_near(outcome, serial, within);
      if (first)
        expect_same_bits(outcome, *first);
      else
        first = outcome;
    }
  }
}

const std::vector<Family> kDense{
    {"copies",
     {"dp=2", "dp=4", "dp=8", "recompute=full", "recompute=selective", "dp=2,recompute=full"}},
    {"zero_copies",
     {"dp=2,zero=1", "dp=2,zero=2", "dp=2,zero=3", "dp=8,zero=1", "dp=8,zero=3",
      "dp=4,zero=1,shard=2", "dp=4,zero=2,shard=2", "dp=8,zero=3,shard=4",
      "dp=4,zero=2,bucket_mb=0.002", "dp=2,zero=3,recompute=full",
      "dp=2,zero=2,recompute=selective"}},
    {"pipeline_copies",
     {"pp=2,schedule=gpipe", "pp=4", "pp=6", "pp=2,stages=2,schedule=interleaved",
      "pp=2,stages=3,schedule=interleaved", "pp=3,schedule=zb_h1", "pp=2,stages=2,schedule=zb_v",
      "pp=2,split=1,5", "pp=3,recompute=full", "pp=2,schedule=zb_h1,recompute=full",
      "pp=2,schedule=zb_h1,recompute=selective", "dp=2,pp=2", "dp=4,pp=2,schedule=zb_h1"}},
    {"zero_pipeline_copies",
     {"dp=2,pp=2,zero=1", "dp=2,pp=2,zero=2,schedule=zb_h1", "dp=2,pp=4,zero=1,schedule=zb_h1",
      "dp=2,pp=2,zero=3,recompute=full", "dp=2,pp=3,zero=2,schedule=gpipe,recompute=full",
      "dp=2,pp=2,stages=2,zero=3,schedule=zb_v", "dp=2,pp=2,stages=2,zero=2,schedule=zb_v",
      "dp=4,pp=2,stages=2,zero=3,shard=2,schedule=interleaved", "dp=2,pp=3,zero=3"}},
    {"tensor",
     {"tp=2", "tp=2,dp=2", "tp=2,dp=4,zero=3,shard=2", "tp=2,pp=2,schedule=zb_h1",
      "tp=2,dp=2,pp=2,zero=1", "tp=2,dp=2,pp=2,zero=3,schedule=gpipe",
      "tp=2,pp=2,stages=2,schedule=zb_v,recompute=full", "tp=2,pp=4,recompute=full",
      "tp=2,dp=2,zero=3,recompute=selective"}},
    {"sequence",
     {"tp=2,sequence=true", "tp=2,sequence=true,dp=2,zero=2", "tp=2,sequence=true,dp=2,pp=2,zero=3",
      "tp=2,sequence=true,pp=2,schedule=zb_h1", "tp=2,sequence=true,dp=4,recompute=full",
      "tp=2,sequence=true,dp=2,pp=2,zero=1,schedule=zb_h1",
      "tp=2,sequence=true,pp=2,stages=2,schedule=interleaved"}},
    {"context",
     {"cp=2", "cp=2,dp=2", "cp=2,dp=4,zero=3,shard=4", "cp=2,dp=2,pp=2,zero=2,recompute=full",
      "cp=2,pp=2,schedule=zb_h1", "cp=2,pp=2,stages=2,schedule=zb_v", "cp=2,zero=3",
      "cp=2,pp=2,schedule=zb_h1,recompute=selective"}},
    {"context_of_4", {"cp=4", "cp=4,dp=2,zero=1", "cp=4,pp=2,schedule=gpipe,zero=3"}},
    {"tensor_context",
     {"tp=2,cp=2", "tp=2,cp=2,dp=2,zero=3", "tp=2,cp=2,pp=2,schedule=zb_h1,recompute=full"}},
    {"sequence_context",
     {"tp=2,cp=2,sequence=true", "tp=2,cp=2,sequence=true,dp=2,zero=2",
      "tp=2,cp=2,sequence=true,pp=2,stages=2,schedule=zb_v"}},
};
const std::vector<Family> kFourHeads{
    {"tensor_of_4", {"tp=4", "tp=4,dp=2,zero=2", "tp=4,pp=2,schedule=zb_h1"}},
    {"sequence_of_4", {"tp=4,sequence=true", "tp=4,sequence=true,pp=2"}},
};
const std::vector<Family> kExperts{
    {"copies", {"dp=2", "dp=4,zero=3", "dp=8,zero=2,shard=4", "recompute=full"}},
    {"pipeline_copies",
     {"pp=2,schedule=gpipe", "dp=2,pp=3,zero=1", "dp=2,pp=2,stages=2,schedule=zb_v,zero=3",
      "pp=3,schedule=zb_h1,recompute=full", "dp=2,pp=2,stages=2,schedule=interleaved,zero=2"}},
    {"tensor", {"tp=2", "tp=2,dp=2,zero=3", "tp=2,pp=2,schedule=zb_h1", "tp=2,dp=2,pp=2,zero=1"}},
    {"sequence",
     {"tp=2,sequence=true", "tp=2,sequence=true,dp=2,pp=2,zero=2", "tp=2,sequence=true,pp=4"}},
    {"context", {"cp=2", "cp=2,dp=2,zero=2", "cp=2,dp=2,pp=2,recompute=full"}},
    {"experts",
     {"dp=2,ep=2", "dp=2,ep=2,zero=1", "dp=2,ep=2,zero=3", "dp=2,ep=2,pp=2,zero=2",
      "dp=2,ep=2,pp=2,schedule=zb_h1,zero=3", "dp=2,ep=2,pp=4,recompute=full",
      "dp=2,ep=2,zero=2,recompute=selective", "dp=2,ep=2,pp=2,stages=2,schedule=zb_v"}},
    {"experts_twice",
     {"dp=4,ep=2", "dp=4,ep=2,zero=1", "dp=4,ep=2,zero=3,pp=2", "dp=4,ep=2,zero=2"}},
    {"experts_of_4", {"dp=4,ep=4", "dp=4,ep=4,zero=3", "dp=4,ep=4,pp=2,schedule=gpipe,zero=2"}},
    {"experts_tensor",
     {"dp=2,ep=2,tp=2", "dp=2,ep=2,tp=2,zero=3", "dp=2,ep=2,tp=2,pp=2,schedule=zb_h1,zero=1"}},
    {"experts_sequence",
     {"dp=2,ep=2,tp=2,sequence=true", "dp=2,ep=2,tp=2,sequence=true,pp=2,zero=2,recompute=full"}},
    {"experts_context", {"dp=2,ep=2,cp=2", "dp=2,ep=2,cp=2,zero=3", "dp=2,ep=2,cp=2,pp=2,zero=1"}},
};

std::vector<Case> cases_of(Kind kind, const std::vector<std::vector<Family>>& groups) {
  std::vector<Case> cases;
  for (const auto& families : groups)
    for (const Family& family : families) cases.push_back({kind, family});
  return cases;
}
// Losses are scaled, and with them the pull of the experts' balance.
TEST(LayoutMatrixOfF16, CopiesOfTheRunAreTheSameToTheBitAndNearF32) {
  for (const Kind kind : {Kind::modern, Kind::sparse}) {
    const auto trained = [&](DType dtype, const std::string& layout) {
      Config config = config_of(kind, dtype, layout);
      config.train.loss_scale = 64;
      return run_trial(trial_of(config));
    };
    const TrialOutcome serial = trained(DType::f16, "");
    for (const char* layout : {"dp=2", "dp=2,zero=3", "pp=2,schedule=zb_h1"})
      expect_same_bits(trained(DType::f16, layout), serial);
    const TrialOutcome f32 = trained(DType::f32, "");
    for (std::size_t step = 0; step < f32.losses.size(); ++step) {
      EXPECT_NEAR(serial.losses[step], f32.losses[step], 2e-3 * f32.losses[step]);
      EXPECT_NEAR(serial.grad_norms[step], f32.grad_norms[step], 2e-2 * f32.grad_norms[step]);
    }
  }
}

std::string name_of(const testing::TestParamInfo<Case>& info) { return info.param.family.name; }

INSTANTIATE_TEST_SUITE_P(Classic, LayoutMatrix,
                         testing::ValuesIn(cases_of(Kind::classic, {kDense, kFourHeads})), name_of);
INSTANTIATE_TEST_SUITE_P(Modern, LayoutMatrix, testing::ValuesIn(cases_of(Kind::modern, {kDense})),
                         name_of);
INSTANTIATE_TEST_SUITE_P(Experts, LayoutMatrix,
                         testing::ValuesIn(cases_of(Kind::sparse, {kExperts})), name_of);

}  // namespace
}  // namespace fusor
