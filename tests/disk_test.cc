// A disk that fills up under a run: training goes on to its end and says what it could not write.
#include "tests/runs.h"
#include "tests/small_disk.h"

namespace fusor {
namespace {

using ::testing::HasSubstr;

// Of one megabyte: two checkpoints of the tiny model.
class FullDisk : public Runs {
 protected:
  void SetUp() override {
    if (!disk_.mounted()) GTEST_SKIP() << "mounting a small disk takes root";
    Runs::SetUp();
  }
  static int count(const std::string& text, const std::string& part) {
    int n = 0;
    for (std::size_t at = 0; (at = text.find(part, at)) != text.npos; at += part.size()) ++n;
    return n;
  }

  SmallDisk disk_{1};
  const std::string run_ = disk_.path() + "/run";
};

TEST_F(FullDisk, CostsACheckpointAndNotTheRun) {
  const std::string every = "--checkpoint.keep_last=0 --checkpoint.every=15";
  const std::string output = fusor(train(run_, every), 2);
  EXPECT_THAT(output, HasSubstr("checkpoint of step 30 saved\n"));
  EXPECT_THAT(output, HasSubstr("checkpoint of step 40 not saved, the run goes on: cannot write " +
                                checkpoint(run_, 40) + ".tmp/shard-0000"));
  EXPECT_EQ(count(output, "No space left on device"), 1) << output;
  EXPECT_EQ(metrics(run_).size(), 40u);
  EXPECT_EQ(saved(run_), std::vector<std::int64_t>({15, 30}));
  EXPECT_THAT(fusor("ckpt verify " + run_), HasSubstr("all of it whole"));

  const std::string elsewhere = every + " --checkpoint.resume=" + run_;
  EXPECT_THAT(fusor(train("elsewhere", elsewhere), 2), HasSubstr("at step 30"));
  fusor(train("undisturbed", every), 2);
  EXPECT_EQ(tensors("elsewhere", 40), tensors("undisturbed", 40));
}

TEST_F(FullDisk, CostsTheLogAndNotTheRun) {
  {
    std::ofstream rest(disk_.path() + "/rest");
    while (rest << std::string(4096, ' ') << std::flush) {
    }
  }
  const std::string output = fusor(train(run_, "--train.steps=5"), 2);
  for (const std::string file : {"/run.log", "/metrics.jsonl", "/recipe.ini"})
    EXPECT_EQ(count(output, "cannot write " + run_ + file + ": No space left on device"), 1)
        << file << '\n'
        << output;
  EXPECT_THAT(output, HasSubstr("checkpoint of step 5 not saved, the run goes on: "));
}

}  // namespace
}  // namespace fusor
