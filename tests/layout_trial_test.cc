// Layouts against each other as `fusor verify-layout` does it: a model with a mistake is told from
// one without.
#include "launch/layout_trial.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "launch/layout_text.h"
#include "launch/text_task.h"
#include "tests/layouts_of_gpt.h"
#include "tests/thrown_by.h"

namespace fusor {
namespace {

using namespace layouts_of_gpt;

// A GPT with a mistake in how it declares its parameters.
class Mistaken final : public Model {
 public:
  Mistaken(const GptConfig& config, const Mesh& mesh, Visitor mistake)
      : gpt_(config, mesh), mistake_(std::move(mistake)) {}

  std::vector<Part> parts() const override { return gpt_.parts(); }
  Var run(int part, const std::vector<Var>& inputs, const Batch& batch,
          const Pass& pass) const override {
    return gpt_.run(part, inputs, batch, pass);
  }
  Shape output_shape(int part, const BatchShape& batch) const override {
    return gpt_.output_shape(part, batch);
  }
  void visit(int part, const Visitor& visitor) override {
    gpt_.visit(part, [&](Parameter& p) { mistake_(p), visitor(p); });
  }

 private:
  Gpt gpt_;
  Visitor mistake_;
};

class MistakenTask final : public TextTask {
 public:
  MistakenTask(const Config& config, Visitor mistake)
      : TextTask(config), random_(config), mistake_(std::move(mistake)) {}

  std::unique_ptr<Model> model(const Mesh& mesh) const override {
    return std::make_unique<Mistaken>(config().model, mesh, mistake_);
  }
  BatchSource training(const RunSize& size, const Mesh& mesh, std::int64_t step) const override {
    return random_.training(size, mesh, step);
  }

 private:
  RandomTextTask random_;
  Visitor mistake_;
};

TrialDifference compare(const std::string& layout, const Visitor& mistake) {
  const auto run = [&](const std::string& text) {
    Trial trial = trial_of(config_of(Kind::classic, DType::f32, text), 0, 3);
    trial.make_device = {}, trial.end = {};
    trial.task = std::make_shared<MistakenTask>(trial.config, mistake);
    return run_trial(trial);
  };
  return difference(run(layout), run(""));
}

TEST(LayoutTrial, AModelWithoutMistakesAgrees) {
  const Visitor nothing = [](Parameter&) {};
  const TrialDifference copies = compare("dp=2,zero=3", nothing);
  EXPECT_EQ(verdict_of(copies, DType::f32), Verdict::same_bits);
  EXPECT_EQ(copies.loss, 0);
  EXPECT_EQ(copies.gradient, 0);
  const TrialDifference split = compare("tp=2,sequence=true", nothing);
  EXPECT_EQ(verdict_of(split, DType::f32), Verdict::within_rounding);
  EXPECT_LT(split.loss, 1e-6);
}

TEST(LayoutTrial, AForgottenSumOverTpNamesTheParameter) {
  const TrialDifference d = compare("tp=2,sequence=true", [](Parameter& p) {
    if (p.pieces[0].name == "block.2.norm1.gain") p.partial_over_tp = false;
  });
  EXPECT_EQ(verdict_of(d, DType::f32), Verdict::differs);
  EXPECT_EQ(d.parameter, "block.2.norm1.gain");
  EXPECT_GT(d.gradient, 0.01);
}

TEST(LayoutTrial, AWrongPlaceInTheWholeNamesTheParameter) {
  const TrialDifference d = compare("tp=2", [](Parameter& p) {
    for (Piece& piece : p.pieces)
      if (piece.name == "block.1.mlp.up.bias") piece.first = 0;
  });
  EXPECT_EQ(verdict_of(d, DType::f32), Verdict::differs);
  EXPECT_EQ(d.parameter, "block.1.mlp.up.bias");
}

TEST(LayoutTrial, VerdictsAreBoundedByTheRoundingOfADtype) {
  const TrialDifference d{.same_bits = false, .loss = 1e-6, .gradient = 2e-5, .parameter = "w"};
  EXPECT_EQ(verdict_of(d, DType::f64), Verdict::differs);
  EXPECT_EQ(verdict_of(d, DType::f32), Verdict::within_rounding);
  EXPECT_EQ(verdict_of({}, DType::f64), Verdict::same_bits);
}

TEST(LayoutText, KeysThatAreLeftOutAreThoseOfASerialRunWithExactSums) {
  ParallelConfig recipe;
  recipe.tp = 4, recipe.threads = 3, recipe.bucket_mb = 7;
  const ParallelConfig layout = parse_layout("pp=2, schedule=zb_h1,split=5,3,zero=3", recipe);
  ParallelConfig want;
  want.dp = 1, want.pp = 2, want.schedule = ScheduleKind::zero_bubble, want.split = "5,3";
  want.zero = 3, want.reduce = Reduce::exact, want.threads = 3, want.bucket_mb = 7;
  EXPECT_EQ(layout, want);
  EXPECT_EQ(ranks_of(layout), 2);
  EXPECT_EQ(parse_layout("tp=2", recipe, 8).dp, 4);
  EXPECT_EQ(split_layouts("dp=2 ; tp=2,pp=2;"), (std::vector<std::string>{"dp=2", "tp=2,pp=2"}));
}

TEST(LayoutText, MistakesAreToldInOneSentence) {
  const auto told = [](const std::string& text, std::int64_t ranks = 0) {
    return thrown_by([&] { parse_layout(text, {}, ranks); });
  };
  EXPECT_EQ(told("dp=2,schedul=gpipe"),
            "layout \"dp=2,schedul=gpipe\": unknown key \"parallel.schedul\", did you mean "
            "\"parallel.schedule\"?");
  EXPECT_EQ(told("dp=two"), "layout \"dp=two\": parallel.dp = two is not a whole number");
  EXPECT_EQ(told("tp=0"), "layout \"tp=0\": parallel.tp = 0 must be at least 1 and below 16384");
  EXPECT_EQ(told("dp=2,dp=4"), "layout \"dp=2,dp=4\": parallel.dp is given twice");
  EXPECT_EQ(told("serial"), "layout \"serial\": \"serial\" is not KEY=VALUE");
  EXPECT_EQ(told("tp=3", 8), "layout \"tp=3\" takes 6 ranks, not 8");
  EXPECT_EQ(thrown_by([] { split_layouts(" ; "); }),
            "no layout is given, for example \"dp=2; tp=2,pp=2\"");
}

}  // namespace
}  // namespace fusor
