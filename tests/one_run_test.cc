// The same run on any number of ranks, and across any stop: the fusor program under mpirun.
#include "tests/runs.h"

namespace fusor {
namespace {

constexpr int kSteps = 50;

class OneRun : public Runs {
 protected:
  // Trains into the folder `name` and returns the losses of its steps.
  std::map<int, double> losses(const std::string& name, int ranks,
                               const std::string& overrides = "") const {
    fusor(train(name,
                "--train.steps=50 --optimizer.lr=3e-3 --model.dropout=0.1 --checkpoint.every=10 "
                "--checkpoint.keep_last=0 " +
                    overrides),
          ranks);
    return metrics(name);
  }
};

TEST_F(OneRun, SameBitsOnAnyNumberOfRanks) {
  const auto one = losses("np1", 1);
  ASSERT_EQ(one.size(), kSteps);
  EXPECT_LT(one.at(kSteps), one.at(1) - 0.5);  // it does learn
  for (const int ranks : {2, 4}) {
    const std::string name = "np" + std::to_string(ranks);
    EXPECT_EQ(losses(name, ranks), one) << ranks << " ranks";
    EXPECT_EQ(tensors(name, kSteps), tensors("np1", kSteps)) << ranks << " ranks";
  }
  for (const int micro : {1, 4}) {
    const std::string size = std::to_string(micro);
    for (const auto& [step, loss] : losses("micro" + size, 2, "--train.micro_batch=" + size))
      EXPECT_NEAR(loss, one.at(step), 1e-6 * one.at(step))
          << "micro-batch " << micro << " step " << step;
  }
}

TEST_F(OneRun, SameBitsAcrossAStopAfterAnyStep) {
  const auto whole = losses("whole", 2);
  const auto last = tensors("whole", kSteps);
  for (const int step : {10, 20, 30, 40}) {
    const std::string name = "from" + std::to_string(step);
    const int ranks = step % 20 == 0 ? 4 : step == 10 ? 2 : 1;
    const auto rest = losses(name, ranks, "--checkpoint.resume=" + checkpoint("whole", step));
    EXPECT_EQ(rest.size(), static_cast<std::size_t>(kSteps - step));
    for (const auto& [at, loss] : rest) EXPECT_EQ(loss, whole.at(at)) << name << " step " << at;
    EXPECT_EQ(tensors(name, kSteps), last) << name << " on " << ranks << " ranks";
  }
}

TEST_F(OneRun, SameBitsHoweverTheStateIsSplit) {
  const auto one = losses("one", 1);
  const auto last = tensors("one", kSteps);
  for (const std::string zero : {"1", "2", "3"})
    for (const std::string shard : {"0", "2"}) {
      const std::string how = "--parallel.zero=" + zero + " --parallel.shard=" + shard,
                        name = "zero" + zero + "_" + shard;
      EXPECT_EQ(losses(name, 4, how), one) << how;
      EXPECT_EQ(tensors(name, kSteps), last) << how;
    }
  losses("joined", 1, "--checkpoint.resume=" + checkpoint("zero3_0", 20));
  EXPECT_EQ(tensors("joined", kSteps), last);
  losses("split", 4, "--parallel.zero=3 --checkpoint.resume=" + checkpoint("one", 20));
  EXPECT_EQ(tensors("split", kSteps), last);
}

TEST_F(OneRun, SameBitsInAnyPipeline) {
  const auto one = losses("one", 1);
  const auto last = tensors("one", kSteps);
  std::string before = "one";
  for (const auto& [ranks, layout] : std::vector<std::pair<int, std::string>>{
           {2, "--parallel.pp=2"},
           {4, "--parallel.pp=4 --parallel.schedule=gpipe --parallel.recompute=full"},
           {4,
            "--parallel.pp=2 --parallel.schedule=interleaved --parallel.stages=2 "
            "--parallel.zero=3"},
           {4, "--parallel.pp=2 --parallel.schedule=zb_h1 --parallel.zero=2"},
           {2, "--parallel.pp=2 --parallel.schedule=zb_v --parallel.stages=2"}}) {
    const std::string name = before + "_";
    EXPECT_EQ(losses(name, ranks, layout), one) << layout;
    EXPECT_EQ(tensors(name, kSteps), last) << layout;
    // What another layout saved.
    losses("from_" + before, ranks, layout + " --checkpoint.resume=" + checkpoint(before, 40));
    EXPECT_EQ(tensors("from_" + before, kSteps), last) << layout;
    before = name;
  }
}

TEST_F(OneRun, SplitLayersLearnTheSameToRounding) {
  const auto one = losses("one", 1);
  int number = 0;
  for (const std::string layout :
       {"--parallel.tp=2 --parallel.pp=2", "--parallel.tp=2 --parallel.cp=2",
        "--parallel.tp=2 --parallel.sequence=true --parallel.zero=3"}) {
    const std::string name = "split" + std::to_string(number++);
    for (const auto& [step, loss] : losses(name, 4, layout))
      EXPECT_NEAR(loss, one.at(step), 1e-5 * one.at(step)) << layout << " step " << step;
    // The optimizer's state goes on in another layout too.
    for (const auto& [step, loss] :
         losses(name + "on", 2, "--parallel.pp=2 --checkpoint.resume=" + checkpoint(name, 20)))
      EXPECT_NEAR(loss, one.at(step), 1e-5 * one.at(step)) << layout << " resumed, step " << step;
  }
}

TEST_F(OneRun, FastReductionLearnsTheSameToRounding) {
  const auto exact = losses("exact", 2);
  for (const auto& [step, loss] : losses("fast", 2, "--parallel.reduce=fast"))
    EXPECT_NEAR(loss, exact.at(step), 1e-4 * exact.at(step)) << step;
}

}  // namespace
}  // namespace fusor
