// A whole run by the fusor program, under mpirun and alone: trained, stopped, killed, resumed,
// evaluated, and made to write.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <thread>
#include <vector>

#include "tests/spawn.h"
#include "tests/temporary_folder.h"

namespace fusor {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using Clock = std::chrono::steady_clock;

const char* const kRecipe = R"(
[model]
preset = llama-tiny
layers = 2
width = 32
heads = 4
kv_heads = 2
mlp_hidden = 80
[data]
seq_len = 24
[parallel]
reduce = exact
[optimizer]
lr = 1e-2
warmup_steps = 5
[train]
steps = 40
global_batch = 8
micro_batch = 2
[log]
every = 1
)";

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Looks every few milliseconds until `happened`; false after half a minute.
bool wait_for(const std::function<bool()>& happened) {
  const auto start = Clock::now();
  while (!happened()) {
    if (seconds_since(start) > 30) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

std::string text_of(const fs::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// A shell command that runs while the test goes on; its output goes to a file.
class Job {
 public:
  Job(const std::string& command, fs::path output) : output_(std::move(output)), pid_(fork()) {
    if (pid_ != 0) return;
    const std::string line = "exec " + command + " >'" + output_.string() + "' 2>&1 </dev/null";
    execl("/bin/sh", "sh", "-c", line.c_str(), nullptr);
    _exit(127);
  }
  Job(const Job&) = delete;
  Job& operator=(const Job&) = delete;
  ~Job() {
    if (pid_ > 0) kill(pid_, SIGKILL), waitpid(pid_, nullptr, 0);
  }

  pid_t pid() const { return pid_; }
  // Processes that it has started: the ranks of an mpirun, in no order.
  std::vector<pid_t> children() const {
    const std::string pid = std::to_string(pid_);
    std::ifstream file("/proc/" + pid + "/task/" + pid + "/children");
    std::vector<pid_t> found;
    for (pid_t child = 0; file >> child;) found.push_back(child);
    return found;
  }
  std::string output() const { return text_of(output_); }
  int wait() {  // for its end; the exit status, or -1 if a signal ended it
    int status = 0;
    waitpid(std::exchange(pid_, 0), &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

 private:
  fs::path output_;
  pid_t pid_;
};

class Runs : public testing::Test {
 protected:
  void SetUp() override {
    std::ofstream text(folder_ / "text");
    for (int i = 0; i < 400; ++i)
      text << "Verse " << i * i << ": " << i % 7 << " and " << i << "\n\n";
    text.close();
    std::ofstream(folder_ / "tiny.ini") << kRecipe;
    fusor("data text --input " + path("text") + " --output " + path("data"));
  }

  std::string path(const std::string& name) const { return (folder_ / name).string(); }

  static std::string on(int ranks, const std::string& arguments) {
    const std::string mpirun =
        ranks == 1 ? "" : MPIEXEC " -np " + std::to_string(ranks) + " " MPIEXEC_FLAGS " ";
    return "env OMP_NUM_THREADS=1 " + mpirun + FUSOR_PROGRAM " " + arguments;
  }
  std::string train(const std::string& run, const std::string& overrides = "") const {
    return "train " + path("tiny.ini") + " --data.path=" + path("data") +
           " --log.dir=" + path(run) + " " + overrides;
  }
  // The output of a command that must succeed.
  static std::string fusor(const std::string& arguments, int ranks = 1) {
    const Outcome outcome = spawn(on(ranks, arguments));
    EXPECT_EQ(outcome.status, 0) << arguments << '\n' << outcome.output;
    return outcome.output;
  }

  // The values of a run's metrics of one kind, by step.
  std::map<int, double> metrics(const std::string& run, const std::string& kind) const {
    std::map<int, double> values;
    std::ifstream file(folder_ / run / "metrics.jsonl");
    for (std::string line; std::getline(file, line) && !file.eof();) {
      const auto event = nlohmann::json::parse(line);
      if (event.at("kind") == kind) values[event.at("step")] = event.at("loss");
    }
    return values;
  }
  bool saved(const std::string& run) const {
    const fs::path checkpoints = folder_ / run / "checkpoints";
    if (!fs::exists(checkpoints)) return false;
    return std::ranges::any_of(fs::directory_iterator(checkpoints),
                               [](const auto& entry) { return entry.path().extension().empty(); });
  }

  TemporaryFolder temporary_;
  fs::path folder_ = temporary_.path();
};

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
    EXPECT_LT(metrics(run, "train").at(40), metrics(run, "train").at(1) - 1);

    const std::string report = fusor("eval --from " + path(run), ranks);
    EXPECT_EQ(fusor("eval " + path(run) + "/recipe.ini", 3 - ranks), report);
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

    const std::string write = "generate --prompt 'Verse 7' --tokens 90 --from " + path(run);
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
  EXPECT_THAT(text_of(folder_ / "np1" / "run.log"), HasSubstr("over 192 tokens"));  // 8 x 24
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
    const Outcome end = spawn(on(ranks, more));
    EXPECT_NE(end.status, 0);
    EXPECT_THAT(end.output, HasSubstr(": checkpoint of step 8 not saved: cannot create"));
    fs::remove(folder_ / run / "checkpoints" / "step-00000008.tmp");
    EXPECT_THAT(fusor(more, ranks), HasSubstr("step-00000006 at step 6"));
  }
}

TEST_F(Runs, EvaluationComputesInAnyDtype) {
  fusor(train("run", "--train.dtype=bf16"));
  const auto loss = [&](const std::string& dtype) {
    const std::string report = fusor("eval --from " + path("run") + " --dtype " + dtype);
    return std::stod(report.substr(report.find("\nloss ") + 6));
  };
  const double exact = loss("f64");
  EXPECT_NEAR(loss("f32"), exact, 2e-4);
  EXPECT_NEAR(loss("bf16"), exact, 2e-2);
}

// As a scheduler does before it takes the machine away.
TEST_F(Runs, SigtermSavesAndTheSameCommandGoesOn) {
  const std::string steps = "--train.steps=400 --checkpoint.every=1000";
  fusor(train("whole", steps), 2);
  {
    Job job(on(2, train("stopped", steps)), folder_ / "log");
    ASSERT_TRUE(wait_for([&] { return metrics("stopped", "train").size() >= 5; })) << job.output();
    ASSERT_EQ(job.children().size(), 2u);
    kill(job.children()[1], SIGTERM);  // one rank is told, all stop after the same step
    EXPECT_EQ(job.wait(), 0) << job.output();
    EXPECT_THAT(job.output(), HasSubstr("as asked by SIGTERM"));
  }
  const std::size_t done = metrics("stopped", "train").size();
  ASSERT_LT(done, 400u) << "a test that told it too late";
  EXPECT_THAT(fusor(train("stopped", steps), 2),
              HasSubstr("at step " + std::to_string(done) + " in "));
  EXPECT_EQ(metrics("stopped", "train"), metrics("whole", "train"));
}

// Often, so that some arrive while each kernel runs.
TEST_F(Runs, SigusrSavesAndTheRunGoesOn) {
  Job job(on(1, train("run", "--train.steps=100000")), folder_ / "log");
  ASSERT_TRUE(wait_for([&] { return metrics("run", "train").size() >= 2; })) << job.output();
  EXPECT_FALSE(saved("run"));
  for (int i = 0; i < 1000; ++i) {
    kill(job.pid(), SIGUSR1);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  EXPECT_TRUE(wait_for([&] { return saved("run"); })) << job.output();
  const std::size_t done = metrics("run", "train").size();
  EXPECT_TRUE(wait_for([&] { return metrics("run", "train").size() > done; })) << job.output();
}

TEST_F(Runs, AKilledRankEndsTheJobAndLosesNothingSaved) {
  const std::string every = "--checkpoint.every=5";
  Job job(on(4, train("run", "--train.steps=100000 " + every)), folder_ / "log");
  ASSERT_TRUE(wait_for([&] { return saved("run"); })) << job.output();
  const std::vector<pid_t> ranks = job.children();
  ASSERT_EQ(ranks.size(), 4u);
  const auto start = Clock::now();
  kill(ranks[2], SIGKILL);
  EXPECT_NE(job.wait(), 0) << job.output();
  EXPECT_LT(seconds_since(start), 10);
  EXPECT_THAT(fusor("ckpt verify " + path("run")), HasSubstr("all of it whole"));
  const std::size_t done = metrics("run", "train").size();
  const std::string more = "--train.steps=" + std::to_string(done + 5) + " ";
  EXPECT_THAT(fusor(train("run", more + every), 2), HasSubstr("resumed from "));
  EXPECT_EQ(metrics("run", "train").size(), done + 5);
}

}  // namespace
}  // namespace fusor
