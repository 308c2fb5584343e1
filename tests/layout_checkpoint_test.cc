// A checkpoint saved under any layout goes on under any other: as the run that was never stopped,
// to the bit where both layouts split the same sums.
#include <gtest/gtest.h>

#include "tests/layouts_of_gpt.h"
#include "tests/temporary_folder.h"

namespace fusor {
namespace {

using namespace layouts_of_gpt;

constexpr std::int64_t kSaved = kSteps / 2;

struct Case {
  std::string name;
  Kind kind;
  std::vector<std::string> layouts;
  friend void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }
};

// What decides which sums are split; over ep, the micro-batches of all dp ranks meet.
auto sums_of(const Config& c) {
  const ParallelConfig& p = c.parallel;
  return std::tuple(p.tp, p.sequence, p.cp, p.ep, p.ep > 1 ? p.dp : 1);
}

class LayoutCheckpoints : public testing::TestWithParam<Case> {};

TEST_P(LayoutCheckpoints, GoOnUnderEachOther) {
  const auto& [name, kind, layouts] = GetParam();
  for (const auto& [dtype, within] : {std::pair{DType::f64, 1e-12}, {DType::f32, 1e-5}}) {
    std::vector<TrialOutcome> whole;
    for (const std::string& layout : layouts)
      whole.push_back(after(kSaved, run_trial(trial_of(config_of(kind, dtype, layout)))));
    for (const std::string& from : layouts) {
      const TemporaryFolder folder;
      const Config before = config_of(kind, dtype, from);
      save_after(kSaved, before, folder.path());
      for (std::size_t i = 0; i < layouts.size(); ++i) {
        SCOPED_TRACE("from \"" + from + "\" to \"" + layouts[i] + "\"");
        const Config into = config_of(kind, dtype, layouts[i]);
        const TrialOutcome outcome = resume(into, folder.path(), kSaved, kSteps - kSaved);
        if (sums_of(before) == sums_of(into))
          expect_same_bits(outcome, whole[i]);
        else
          expect_near(outcome, whole[i], within);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    , LayoutCheckpoints,
    testing::Values(
        Case{"classic",
             Kind::classic,
             {"", "dp=2,zero=1", "tp=2,dp=2,zero=2", "dp=2,pp=2,stages=2,schedule=zb_v,zero=3",
              "cp=2,pp=2,schedule=gpipe", "tp=2,sequence=true,dp=4,zero=3,shard=2"}},
        Case{"modern",
             Kind::modern,
             {"", "dp=2,pp=2,zero=1", "tp=2,sequence=true,dp=2,zero=2", "dp=4,zero=3,shard=2",
              "cp=2,dp=2,pp=2,zero=2", "tp=2,pp=3,schedule=zb_h1"}},
        Case{"experts",
             Kind::sparse,
             {"", "dp=2,ep=2,zero=1", "dp=4,ep=4,pp=2,zero=3", "dp=2,ep=2,tp=2,zero=2",
              "dp=2,ep=2,cp=2,zero=3", "dp=2,pp=2,schedule=zb_h1,zero=3"}}),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace fusor
