// A GPT whose sequences are spread over cp, alone and with tensor parallelism, against the same GPT
// on one rank.
#include <gtest/gtest.h>

#include "tests/gpt_on_mesh.h"

namespace fusor {
namespace {

using namespace gpt_on_mesh;

struct Case {
  std::string name;
  int cp, tp;
  bool sequence;
  friend void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }
};

class ContextParallel : public testing::TestWithParam<Case> {};
INSTANTIATE_TEST_SUITE_P(, ContextParallel,
                         testing::Values(Case{"cp2", 2, 1, false}, Case{"cp3", 3, 1, false},
                                         Case{"cp4", 4, 1, false}, Case{"cp2_tp2", 2, 2, false},
                                         Case{"cp2_tp2_sequence", 2, 2, true},
                                         Case{"cp4_tp2_sequence", 4, 2, true}),
                         [](const auto& test) { return test.param.name; });

TEST_P(ContextParallel, LossAndGradientsAreThoseOfOneRank) {
  const auto& [name, cp, tp, sequence] = GetParam();
  for (const GptConfig& config : {classic(), modern(), sparse()})
    for (const auto& [dtype, within] : {std::pair{DType::f64, 1e-12}, {DType::f32, 1e-5}})
      expect_same(run(config, dtype, {.tp = tp, .cp = cp}, sequence), run(config, dtype, {}),
                  within);
}

}  // namespace
}  // namespace fusor
