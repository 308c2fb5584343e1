// The trainer on a GPU, ranks sharing one: the same run as on the CPU, under any layout, in the
// memory that was planned, and from checkpoints of either.
#include <gtest/gtest.h>

#include "launch/saver.h"
#include "tests/cuda_gpu.h"
#include "tests/layouts_of_gpt.h"
#include "tests/temporary_folder.h"

namespace fusor {
namespace {

using namespace layouts_of_gpt;

constexpr std::int64_t kFewSteps = 3;
constexpr double kRounding = 1e-5;

class TrainedOnCuda : public OnCuda {};

// Two blocks, four micro-batches a step.
Config tiny(Kind kind, TrainDevice device, const std::string& layout = "") {
  Config c = config_of(kind, DType::f32, layout);
  c.model.layers = 2, c.train.global_batch = 4;
  c.train.device = device;
  return c;
}

TrialOutcome run(const Config& config) { return run_trial(trial_of(config, 0, kFewSteps)); }

TEST_F(TrainedOnCuda, AModelIsTheSameAsOnTheCpu) {
  for (const Kind kind : {Kind::classic, Kind::modern, Kind::sparse})
    expect_near(run(tiny(kind, TrainDevice::cuda)), run(tiny(kind, TrainDevice::cpu)), kRounding);
}

TEST_F(TrainedOnCuda, AStepThatIsAGraphIsTheSameToTheBit) {
  Config config = tiny(Kind::modern, TrainDevice::cuda);
  ASSERT_TRUE(config.train.cuda_graph);
  const TrialOutcome graph = run(config);
  config.train.cuda_graph = false;
  expect_same_bits(graph, run(config));
}

// Over NCCL, for which each rank has a GPU of its own.
TEST_F(TrainedOnCuda, AStepOfSeveralRanksThatIsAGraphIsTheSameToTheBit) {
  if (cuda_devices().gpus.size() < 4) GTEST_SKIP() << "fewer than 4 GPUs";
  for (const std::string layout : {"dp=2,reduce=exact", "dp=2,zero=3", "cp=2,pp=2",
                                   "tp=2,sequence=true,pp=2,schedule=zb_h1"}) {
    SCOPED_TRACE(layout);
    Config config = tiny(Kind::modern, TrainDevice::cuda, layout);
    const auto outcome = [&](const std::string& why_not) {
      Trial trial = trial_of(config, 0, kFewSteps);
      trial.end = [=](Trainer& trainer, const World&) {
        EXPECT_EQ(trainer.why_not_captured(), why_not);
      };
      return run_trial(trial);
    };
    const TrialOutcome graph = outcome("");
    config.train.cuda_graph = false;
    expect_same_bits(graph, outcome("train.cuda_graph is off"));
  }
}

TEST_F(TrainedOnCuda, CopiesAndPipelinesAreTheSameToTheBit) {
  const TrialOutcome serial = run(tiny(Kind::classic, TrainDevice::cuda));
  for (const std::string layout : {"dp=2", "recompute=full", "dp=2,pp=2", "dp=2,zero=3"})
    expect_same_bits(run(tiny(Kind::classic, TrainDevice::cuda, layout)), serial);
}

TEST_F(TrainedOnCuda, SplitSumsAreTheSameButForRounding) {
  const TrialOutcome serial = run(tiny(Kind::modern, TrainDevice::cpu));
  for (const std::string layout : {"tp=2,sequence=true", "cp=2", "tp=2,pp=2,schedule=zb_h1"})
    expect_near(run(tiny(Kind::modern, TrainDevice::cuda, layout)), serial, kRounding);
  expect_near(run(tiny(Kind::sparse, TrainDevice::cuda, "dp=2,ep=2")),
              run(tiny(Kind::sparse, TrainDevice::cpu, "dp=2,ep=2")), kRounding);
}

TEST_F(TrainedOnCuda, ARunGoesOnWhereItIsResumed) {
  constexpr std::int64_t kSaved = 2;
  const auto whole = [](TrainDevice device) {
    return after(kSaved, run(tiny(Kind::classic, device)));
  };
  for (const TrainDevice from : {TrainDevice::cuda, TrainDevice::cpu}) {
    const TemporaryFolder folder;
    save_after(kSaved, tiny(Kind::classic, from, "dp=2"), folder.path());
    for (const TrainDevice to : {TrainDevice::cuda, TrainDevice::cpu}) {
      const TrialOutcome resumed =
          resume(tiny(Kind::classic, to), folder.path(), kSaved, kFewSteps - kSaved);
      if (from == to)
        expect_same_bits(resumed, whole(to));
      else
        expect_near(resumed, whole(to), kRounding);
    }
  }
}

// A saved step is that step, however far the run has gone on when it is written.
TEST_F(TrainedOnCuda, ACheckpointDoesNotChangeWhileItIsWritten) {
  const TemporaryFolder folder;
  const Config config = tiny(Kind::classic, TrainDevice::cuda);
  Trial trial = trial_of(config, 0, 1);
  trial.end = [&](Trainer& trainer, const World& world) {
    Saver saver(trainer.stores(), world, folder.path(), {});
    saver.start(1, nlohmann::json::object());
    const BatchSource batches = trial.task->training(trainer.size(), trainer.mesh(), 1);
    trainer.accumulate(1, batches);
    trainer.update(1, {});
    EXPECT_TRUE(saver.finish().saved);
  };
  run_trial(trial);
  const TemporaryFolder before;
  save_after(1, config, before.path());
  expect_same_bits(resume(config, folder.path(), 1, 1), resume(config, before.path(), 1, 1));
}

}  // namespace
}  // namespace fusor
