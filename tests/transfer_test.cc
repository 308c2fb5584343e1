// Training that begins with another model's weights, or leaves some of its own as they are.
#include "launch/transfer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "launch/image_task.h"
#include "launch/saver.h"
#include "tests/layouts_of_task.h"
#include "tests/small_images.h"
#include "tests/temporary_folder.h"
#include "tests/thrown_by.h"

namespace fusor {
namespace {

using namespace layouts_of_task;
using namespace small_images;
using testing::HasSubstr;

class Transfer : public testing::Test {
 protected:
  void SetUp() override { write_images(path()); }
  std::string path() const { return folder_.path() + "/images"; }
  Config config(const std::string& layout = "") const {
    return config_of(recipe("resnet20", path()), layout);
  }
  static std::shared_ptr<Task> task_of(const Config& config) {
    auto task = std::make_shared<ImageTask>(config);
    task->open("train");
    return task;
  }
  static TrialOutcome run(const Config& config) { return train(task_of(config), config, 3); }

  // A checkpoint of a run of two steps; returns its weights, too.
  TrialOutcome save(const Config& config, const std::string& folder) const {
    Trial trial{.config = config, .steps = 2, .task = task_of(config)};
    trial.end = [&](const Trainer& trainer, const World& world) {
      Saver saver(trainer.stores(), world, folder, {});
      saver.start(2, nlohmann::json::object());
      EXPECT_TRUE(saver.finish().saved);
    };
    return run_trial(trial);
  }
  // The weights of a run of no step that begins with the checkpoint, and what is fresh of them.
  std::pair<TrialOutcome, FreshWeights> begun(const Config& config,
                                              const std::string& folder) const {
    FreshWeights fresh;
    Trial trial{.config = config, .steps = 0, .task = task_of(config)};
    trial.begin = [&](Trainer& trainer, const World&) {
      trainer.initialize();
      Checkpoint checkpoint = Checkpoint::open(folder);
      fresh = begin_with(checkpoint, config.checkpoint, trainer.stores());
      for (const ParameterStore* store : trainer.stores()) store->publish();
    };
    TrialOutcome outcome = run_trial(trial);
    return {std::move(outcome), std::move(fresh)};
  }
  std::string folder(const std::string& name) const { return folder_.path() + "/" + name; }

 private:
  TemporaryFolder folder_;
};

bool same(const TrialOutcome& a, const TrialOutcome& b, const std::string& name) {
  const Tensor &x = a.state.at("weights/" + name), &y = b.state.at("weights/" + name);
  return x.shape() == y.shape() && std::equal(x.raw(), x.raw() + x.bytes(), y.raw());
}

TEST_F(Transfer, FrozenWeightsStayAsTheyWereDrawn) {
  const TrialOutcome whole = run(config());
  Config frozen = config();
  frozen.train.freeze = "^(conv1|layer1.*conv)";
  const TrialOutcome trained = run(frozen);
  Trial start{.config = frozen, .steps = 0, .task = task_of(frozen)};
  const TrialOutcome drawn = run_trial(start);
  for (const std::string name : {"conv1.weight", "layer1.0.conv2.weight"}) {
    EXPECT_TRUE(same(trained, drawn, name)) << name;
    EXPECT_FALSE(same(whole, drawn, name)) << name;
    EXPECT_FALSE(trained.state.contains("adam.m/" + name)) << "it has no optimizer state";
  }
  EXPECT_FALSE(same(trained, drawn, "fc.weight"));
  EXPECT_FALSE(same(trained, drawn, "bn1.weight"));
}

TEST_F(Transfer, FrozenWeightsAreThatUnderEveryLayout) {
  const auto with = [&](const std::string& layout) {
    Config c = config(layout);
    c.train.freeze = "^(conv1|bn1|layer1)";
    return run(c);
  };
  const TrialOutcome one = with("");
  for (const std::string layout :
       {"dp=2", "dp=2,zero=1", "dp=2,zero=3", "pp=2", "pp=2,schedule=zb_h1"}) {
    SCOPED_TRACE(layout);
    expect_same_bits(with(layout), one);
  }
}

TEST_F(Transfer, PatternsThatFreezeNothingOrAllAreRefused) {
  const auto refusal = [&](const std::string& pattern) {
    return thrown_by([&] { freeze(*task_of(config())->model(), pattern); });
  };
  EXPECT_EQ(refusal(""), "no error");
  EXPECT_EQ(refusal("blok"),
            "train.freeze: no parameter's name has blok, the first is conv1.weight");
  EXPECT_EQ(refusal("."), "train.freeze: . leaves nothing to train");
  EXPECT_EQ(refusal("("), "train.freeze: \"(\" is no regular expression");
}

TEST_F(Transfer, ARunBeginsWithTheWeightsOfAnother) {
  const TrialOutcome saved = save(config(), folder("saved"));
  Config next = config();
  next.train.seed = 7;
  const auto [begun_with, fresh] = begun(next, folder("saved"));
  EXPECT_TRUE(fresh.empty());
  for (const std::string name : {"conv1.weight", "fc.weight", "bn1.running_mean"})
    EXPECT_TRUE(same(begun_with, saved, name)) << name;
}

TEST_F(Transfer, AHeadOfAnotherShapeIsFreshWhereTheRecipeSaysSo) {
  const TrialOutcome saved = save(config(), folder("saved"));
  Config next = config();
  next.resnet.data.classes = 5;
  EXPECT_THAT(thrown_by([&] { begun(next, folder("saved")); }), HasSubstr("fc.weight [5, 8]: "));
  next.checkpoint.on_mismatch = OnMismatch::fresh;
  const auto [begun_with, fresh] = begun(next, folder("saved"));
  ASSERT_EQ(fresh.size(), 2);
  EXPECT_THAT(fresh[0], HasSubstr("fresh weights: fc.bias [5]: "));
  EXPECT_THAT(fresh[1], HasSubstr(" has [3, 8]"));
  EXPECT_TRUE(same(begun_with, saved, "conv1.weight"));
}

TEST_F(Transfer, NamesAreMapped) {
  const TrialOutcome saved = save(config(), folder("saved"));
  Config next = config();
  next.train.seed = 7;
  next.checkpoint.rename = "^bn1\\.=>layer1.0.bn1.";
  const auto [begun_with, fresh] = begun(next, folder("saved"));
  const Tensor &here = begun_with.state.at("weights/bn1.running_mean"),
               &there = saved.state.at("weights/layer1.0.bn1.running_mean");
  EXPECT_TRUE(std::equal(here.raw(), here.raw() + here.bytes(), there.raw()));
  next.checkpoint.rename = "bn1";
  EXPECT_EQ(thrown_by([&] { begun(next, folder("saved")); }),
            "rank 0: checkpoint.rename: \"bn1\" is not PATTERN=>TEXT");
}

}  // namespace
}  // namespace fusor
