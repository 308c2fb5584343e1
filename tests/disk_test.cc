// A disk that fills up under a run: training goes on to its end and says what it could not write.
#include "tests/runs.h"
#include "tests/small_disk.h"

namespace fusor {
namespace {

using ::testing::HasSubstr;

// A disk of two megabytes: five checkpoints of the tiny model.
class FullDisk : public Runs {
 protected:
  void SetUp() override {
    if (!disk_.mounted()) GTEST_SKIP() << "mounting a small disk takes root";
    Runs::SetUp();
  }
  void fill(int bytes) const { std::ofstream(filler_) << std::string(bytes, ' '); }
  static int count(const std::string& text, const std::string& part) {
    int n = 0;
    for (std::size_t at = 0; (at = text.find(part, at)) != text.npos; at += part.size()) ++n;
    return n;
  }

  SmallDisk disk_{2};
  const std::string filler_ = disk_.path() + "/filler", run_ = disk_.path() + "/run";
};

TEST_F(FullDisk, CostsCheckpointsAndNotTheRun) {
  fill(1'400'000);  // leaves room for one
  const std::string constant = "--optimizer.schedule=constant --train.steps=";
  const std::string every = " --checkpoint.keep_last=1 --checkpoint.every=5";
  Job job(on(2, train(run_, constant + "100000" + every)), folder_, folder_ / "log");
  const auto last_step = [&] {
    const auto losses = metrics(run_);
    return losses.empty() ? 0 : losses.rbegin()->first;
  };
  ASSERT_TRUE(wait_for([&] { return last_step() > 20; })) << job.output();
  EXPECT_EQ(saved(run_), std::vector<std::int64_t>({5}));
  EXPECT_THAT(fusor("ckpt verify " + run_), HasSubstr("all of it whole"));
  fs::remove(filler_);
  kill(job.children()[0], SIGTERM);
  EXPECT_EQ(job.wait(), 0) << job.output();
  EXPECT_EQ(count(job.output(), "checkpoint of step 10 not saved: cannot write " +
                                    checkpoint(run_, 10) + ".tmp/shard-0000"),
            1)
      << job.output();

  const int steps = last_step();
  fusor(train("undisturbed", constant + std::to_string(steps)), 2);
  EXPECT_EQ(saved(run_), std::vector<std::int64_t>({steps}));
  EXPECT_EQ(tensors(run_, steps), tensors("undisturbed", steps));
}

TEST_F(FullDisk, EndsARunThatCannotSaveItsLastStep) {
  fill(1'400'000);  // leaves room for one
  const std::string once = "--checkpoint.every=20 --train.steps=";
  EXPECT_THAT(mistake(train(run_, once + "30")),
              testing::StartsWith("checkpoint of step 30 not saved: cannot write " + run_));
  EXPECT_EQ(metrics(run_).size(), 30u);
  EXPECT_EQ(saved(run_), std::vector<std::int64_t>({20}));
  EXPECT_THAT(fusor("ckpt verify " + run_), HasSubstr("all of it whole"));
}

TEST_F(FullDisk, CostsTheLogAndNotTheRun) {
  fill(2 << 20);
  fs::create_directories(run_);
  fs::create_directory(folder_ / "elsewhere");
  fs::create_directory_symlink(folder_ / "elsewhere", run_ + "/checkpoints");
  const std::string output = fusor(train(run_, "--train.steps=20"), 2);
  for (const std::string file : {"/run.log", "/recipe.ini", "/metrics.jsonl"})
    EXPECT_EQ(count(output, "warning: cannot write " + run_ + file + ": No space left"), 1)
        << file << '\n'
        << output;
  EXPECT_THAT(output, HasSubstr("checkpoint of step 20 saved"));
}

}  // namespace
}  // namespace fusor
