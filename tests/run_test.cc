// A whole run by the fusor program, under mpirun and alone: trained, stopped, killed, resumed,
// evaluated, and made to write.
#include <chrono>
#include <cmath>

#include "tests/runs.h"

namespace fusor {
namespace {

using ::testing::HasSubstr;

TEST_F(Runs, TrainEvaluateAndGenerate) {
  for (const int ranks : {1, 2}) {
    const std::string run = "np" + std::to_string(ranks);
    const std::string trained =
        fusor(train(run,
                    "--train.eval_every=20 --train.sample_every=20 --train.sample_prompt=Verse "
                    "--checkpoint.every=20"),
              ranks);
    EXPECT_THAT(trained, HasSubstr("sample: Verse"));
    const double held_out = metrics(run, "eval").at(40);
    EXPECT_LT(metrics(run).at(40), metrics(run).at(1) - 1);

    const std::string report = fusor("eval --from " + run, ranks);
    EXPECT_EQ(fusor("eval " + run + "/recipe.ini", 3 - ranks), report);
    double loss = 0, bits = 0, perplexity = 0;
    const std::size_t at = report.find("\nloss ");
    ASSERT_NE(at, std::string::npos) << report;
    ASSERT_EQ(std::sscanf(report.c_str() + at,
                          "\nloss %lf nats per token, %lf bits per byte, "
                          "perplexity %lf",
                          &loss, &bits, &perplexity),
              3);
    EXPECT_NEAR(loss, held_out, 1e-4);
    EXPECT_NEAR(bits, loss / std::log(2), 2e-4);
    EXPECT_NEAR(perplexity, std::exp(loss), 1e-3 * perplexity);
    EXPECT_LT(loss, 5);  // of ln 256 = 5.5

    const std::string write = "generate --prompt 'Verse 7' --tokens 90 --from " + run;
    const std::string text = fusor(write);
    EXPECT_EQ(text.size(), 7 + 90 + 1u) << text;  // of at most 64 seen at once
    EXPECT_THAT(text, testing::StartsWith("Verse 7"));
    EXPECT_EQ(fusor(write), text);
    EXPECT_EQ(fusor(write + "/checkpoints/step-00000040"), text);
    EXPECT_NE(fusor(write + "/checkpoints/step-00000020"), text);
    EXPECT_NE(fusor(write + " --seed 2"), text);
    EXPECT_EQ(fusor(write + " --temperature 0 --seed 2"), fusor(write + " --top-k 1"));
  }
}

// train.eval_batches counts global batches: the same text, so the same bits, on any ranks.
TEST_F(Runs, APartialEvaluationIsTheSameOnAnyRanks) {
  const std::string some = "--train.steps=5 --train.eval_every=4 --train.eval_batches=1";
  for (const int ranks : {1, 2}) fusor(train("np" + std::to_string(ranks), some), ranks);
  EXPECT_EQ(metrics("np1", "eval").size(), 1u);
  EXPECT_EQ(metrics("np1", "eval"), metrics("np2", "eval"));
  EXPECT_THAT(text_of(folder_ / "np1" / "run.log"), HasSubstr(", 192 tokens"));  // 8 x 24
}

// A file where the folder of a checkpoint should be made.
TEST_F(Runs, AFailedSaveIsSurvivedButNotTheLast) {
  for (const int ranks : {1, 2}) {
    const std::string run = "np" + std::to_string(ranks);
    fs::create_directories(folder_ / run / "checkpoints");
    const auto block = [&](int step) {
      std::ofstream(folder_ / run / "checkpoints" /
                    ("step-0000000" + std::to_string(step) + ".tmp"));
    };
    block(3);
    EXPECT_THAT(fusor(train(run, "--train.steps=6 --checkpoint.every=3"), ranks),
                HasSubstr("checkpoint of step 3 not saved: cannot create"));
    block(8);
    const std::string more = train(run, "--train.steps=8");
    EXPECT_THAT(sentence(on(ranks, more)),
                testing::StartsWith("checkpoint of step 8 not saved: cannot create"));
    fs::remove(folder_ / run / "checkpoints" / "step-00000008.tmp");
    EXPECT_THAT(fusor(more, ranks), HasSubstr("step-00000006 at step 6"));
  }
}

TEST_F(Runs, EvaluationComputesInAnyDtype) {
  fusor(train("run", "--train.dtype=bf16"));
  const auto loss = [&](const std::string& dtype) {
    const std::string report = fusor("eval --from run --dtype " + dtype);
    return std::stod(report.substr(report.find("\nloss ") + 6));
  };
  const double exact = loss("f64");
  EXPECT_NEAR(loss("f32"), exact, 2e-4);
  EXPECT_NEAR(loss("bf16"), exact, 2e-2);
  EXPECT_NEAR(loss("f16"), exact, 3e-3);
}

TEST_F(Runs, F16TrainsAsF32DoesOnAnyRanksAndResumed) {
  const std::string constant = "--optimizer.schedule=constant --optimizer.lr=2e-3 --train.steps=";
  const std::string f16 = "--train.dtype=f16 " + constant;
  fusor(train("f32", constant + "40"));
  fusor(train("scaled", "--train.loss_scale=256 " + f16 + "40"));
  EXPECT_NEAR(metrics("scaled").at(40), metrics("f32").at(40), 1e-3);
  EXPECT_THAT(fusor(train("f16", f16 + "40")),
              HasSubstr("step 1 skipped: gradients overflowed, loss scale now 16384"));
  fusor(train("np2", f16 + "15"), 2);
  fusor(train("np2", f16 + "40"), 2);
  EXPECT_EQ(metrics("np2"), metrics("f16"));
  EXPECT_EQ(tensors("np2", 40), tensors("f16", 40));
}

TEST_F(Runs, AStepWhoseGradientsOverflowChangesNothing) {
  const std::string all =
      "--train.dtype=f16 --train.steps=3 --optimizer.warmup_steps=0 --checkpoint.every=1 ";
  EXPECT_THAT(fusor(train("run", all + "--checkpoint.keep_last=0 --train.loss_scale=1e9"), 2),
              HasSubstr("step 3 skipped: gradients overflowed, loss scale now 1e+09"));
  EXPECT_EQ(tensors("run", 3), tensors("run", 1));
}

TEST_F(Runs, AResumedRunTellsWhatChanged) {
  fusor(train("run", "--train.steps=6"));
  const std::string same = fusor(train("run", "--train.steps=7"));
  EXPECT_THAT(same, HasSubstr("train.steps = 7, before it was 6"));
  EXPECT_THAT(same, testing::Not(HasSubstr("the data are not those")));
  fusor("data text --input text --val-fraction 0.3 --output other");
  EXPECT_THAT(fusor(train("run", "--train.steps=8 --data.path=other")),
              HasSubstr("the data are not those that the checkpoint was trained on"));
}

// As a scheduler does before it takes the machine away.
TEST_F(Runs, SigtermSavesAndTheSameCommandGoesOn) {
  const std::string steps = "--train.steps=400 --checkpoint.every=1000";
  fusor(train("whole", steps), 2);
  {
    Job job(on(2, train("stopped", steps)), folder_, folder_ / "log");
    ASSERT_TRUE(wait_for([&] { return metrics("stopped").size() >= 5; })) << job.output();
    ASSERT_EQ(job.children().size(), 2u);
    kill(job.children()[1], SIGTERM);  // one rank is told, all stop after the same step
    EXPECT_EQ(job.wait(), 0) << job.output();
    EXPECT_THAT(job.output(), HasSubstr("as asked by SIGTERM"));
  }
  const std::size_t done = metrics("stopped").size();
  ASSERT_LT(done, 400u) << "a test that told it too late";
  EXPECT_THAT(fusor(train("stopped", steps), 2),
              HasSubstr("at step " + std::to_string(done) + " in "));
  EXPECT_EQ(metrics("stopped"), metrics("whole"));
}

// Often, so that some arrive while each kernel runs.
TEST_F(Runs, SigusrSavesAndTheRunGoesOn) {
  Job job(on(1, train("run", "--train.steps=100000")), folder_, folder_ / "log");
  ASSERT_TRUE(wait_for([&] { return metrics("run").size() >= 2; })) << job.output();
  EXPECT_TRUE(saved("run").empty());
  for (int i = 0; i < 1000; ++i) {
    kill(job.pid(), SIGUSR1);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  EXPECT_TRUE(wait_for([&] { return !saved("run").empty(); })) << job.output();
  const std::size_t done = metrics("run").size();
  EXPECT_TRUE(wait_for([&] { return metrics("run").size() > done; })) << job.output();
}

TEST_F(Runs, AKilledRankEndsTheJobAndLosesNothingSaved) {
  const std::string constant = "--optimizer.schedule=constant --train.steps=";
  const std::string every = " --checkpoint.every=5";
  Job job(on(4, train("run", constant + "100000" + every)), folder_, folder_ / "log");
  ASSERT_TRUE(wait_for([&] { return !saved("run").empty(); })) << job.output();
  const std::vector<pid_t> ranks = job.children();
  ASSERT_EQ(ranks.size(), 4u);
  const auto start = std::chrono::steady_clock::now();
  kill(ranks[2], SIGKILL);
  EXPECT_NE(job.wait(), 0) << job.output();
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(10));
  EXPECT_THAT(fusor("ckpt verify run"), HasSubstr("all of it whole"));

  const int steps = metrics("run").rbegin()->first + 5;
  const std::string to_the_end = constant + std::to_string(steps);
  EXPECT_THAT(fusor(train("run", to_the_end), 2), HasSubstr("resumed from "));
  fusor(train("undisturbed", to_the_end));
  EXPECT_EQ(metrics("run"), metrics("undisturbed"));
  EXPECT_EQ(tensors("run", steps), tensors("undisturbed", steps));
}

}  // namespace
}  // namespace fusor
