// Models of images: the same run under every layout, and what a recipe of theirs is refused for.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "launch/image_task.h"
#include "tests/layouts_of_task.h"
#include "tests/small_images.h"
#include "tests/temporary_folder.h"
#include "tests/thrown_by.h"

namespace fusor {
namespace {

using namespace layouts_of_task;
using namespace small_images;
using testing::HasSubstr;

constexpr std::int64_t kSteps = 3;

class ImageLayouts : public testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { write_images(path()); }
  std::string path() const { return folder_.path() + "/images"; }
  TrialOutcome run(const std::string& preset, const std::string& layout) const {
    const Config config = config_of(recipe(preset, path()), layout);
    const auto task = std::make_shared<ImageTask>(config);
    task->open("train");
    return train(task, config, kSteps);
  }

 private:
  TemporaryFolder folder_;
};

class ResNetLayouts : public ImageLayouts {};
class ViTLayouts : public ImageLayouts {};
class ViTSplitLayouts : public ImageLayouts {};

TEST_P(ResNetLayouts, TheRunIsTheSameToTheBit) {
  const TrialOutcome one = run("resnet20", "");
  EXPECT_NE(one.losses.front(), one.losses.back());
  EXPECT_TRUE(one.state.contains("weights/bn1.running_mean"));
  expect_same_bits(run("resnet20", GetParam()), one);
}

TEST_P(ViTLayouts, TheRunIsTheSameToTheBit) {
  expect_same_bits(run("vit-ti", GetParam()), run("vit-ti", ""));
}

TEST_P(ViTSplitLayouts, TheRunIsTheSameButForRounding) {
  expect_near(run("vit-ti", GetParam()), run("vit-ti", ""), 1e-4);
}

const std::vector<std::string> kCopies{"dp=2",
                                       "dp=4",
                                       "dp=2,zero=1",
                                       "dp=2,zero=3",
                                       "pp=2",
                                       "dp=2,pp=2,zero=1,schedule=zb_h1",
                                       "pp=2,recompute=full"};
INSTANTIATE_TEST_SUITE_P(, ResNetLayouts, testing::ValuesIn(kCopies));
INSTANTIATE_TEST_SUITE_P(, ViTLayouts, testing::ValuesIn(kCopies));
INSTANTIATE_TEST_SUITE_P(, ViTSplitLayouts,
                         testing::Values("tp=2", "dp=2,tp=2,zero=3", "tp=2,pp=2",
                                         "dp=2,tp=2,pp=2,zero=1"));

using ImageRecipes = ImageLayouts;

TEST_F(ImageRecipes, AreRefusedInOneSentence) {
  const auto refusal = [&](const auto& change) {
    return thrown_by([&] {
      Config c = recipe("resnet20", path());
      change(c);
      ImageTask(resolve(c)).open("train");
    });
  };
  EXPECT_EQ(refusal([](Config&) {}), "no error");
  EXPECT_EQ(refusal([](Config& c) { c.parallel.tp = 2; }),
            "a ResNet is not split by parallel.tp, leave it out");
  EXPECT_THAT(refusal([](Config& c) { c.resnet.data.classes = 2; }),
              HasSubstr("has 3 classes but model.classes is 2"));
  EXPECT_THAT(refusal([](Config& c) { c.resnet.data.channels = 1; }),
              HasSubstr("has images of 3 channels but model.channels is 1"));
}

TEST_F(ImageRecipes, HeldOutImagesAreCountedOnceOnAnyRanks) {
  Config config = resolve(recipe("resnet20", path()));
  config.train.micro_batch = 3;
  ImageTask task(config);
  task.open("val");
  for (const int ranks : {1, 2}) {
    std::int64_t images = 0;
    for (int rank = 0; rank < ranks; ++rank) {
      Mesh mesh;
      mesh.shape.dp = ranks, mesh.place.dp = rank;
      const RunSize size{.micro_batch = 3, .accumulation = 1, .dp = ranks};
      const HeldOut data = task.held_out("val", size, mesh);
      for (std::int64_t i = 0; i < data.count; ++i)
        images += data.next(Batch::empty(data.shape_of(i), Device()));
    }
    EXPECT_EQ(images, 8) << ranks << " ranks";
  }
}

}  // namespace
}  // namespace fusor
