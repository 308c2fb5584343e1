// The same run on any number of ranks, and across any stop: the fusor program under mpirun.
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <iomanip>
#include <map>
#include <nlohmann/json.hpp>

#include "io/checkpoint.h"
#include "tests/spawn.h"
#include "tests/temporary_folder.h"

namespace fusor {
namespace {

namespace fs = std::filesystem;

constexpr int kSteps = 50;

const char* const kRecipe = R"(
[model]
preset = llama-tiny
vocab_size = 256
layers = 2
width = 32
heads = 4
kv_heads = 2
mlp_hidden = 80
dropout = 0.1
[data]
seq_len = 24
[parallel]
reduce = exact
[optimizer]
lr = 3e-3
warmup_steps = 5
[train]
steps = 50
global_batch = 8
micro_batch = 2
[checkpoint]
every = 10
keep_last = 0
)";

class OneRun : public testing::Test {
 protected:
  void SetUp() override {
    std::ofstream text(folder_ / "text");
    for (int i = 0; i < 400; ++i)
      text << "Verse " << i * i << ": " << i % 7 << " and " << i << "\n\n";
    text.close();
    std::ofstream(folder_ / "tiny.ini") << kRecipe;
    const Outcome packed =
        spawn(FUSOR_PROGRAM " data text --input " + path("text") + " --output " + path("data"));
    ASSERT_EQ(packed.status, 0) << packed.output;
  }

  std::string path(const std::string& name) const { return (folder_ / name).string(); }

  // Trains into the folder `name` and returns the losses of its steps.
  std::map<int, double> train(const std::string& name, int ranks,
                              const std::string& overrides = "") {
    const Outcome run =
        spawn("OMP_NUM_THREADS=1 " MPIEXEC " -np " + std::to_string(ranks) +
              " " MPIEXEC_FLAGS " " FUSOR_PROGRAM " train " + path("tiny.ini") +
              " --data.path=" + path("data") + " --log.dir=" + path(name) + " " + overrides);
    EXPECT_EQ(run.status, 0) << run.output;
    std::map<int, double> losses;
    std::ifstream metrics(folder_ / name / "metrics.jsonl");
    for (std::string line; std::getline(metrics, line);) {
      const auto event = nlohmann::json::parse(line);
      if (event.at("kind") == "train") losses[event.at("step")] = event.at("loss");
    }
    return losses;
  }

  // Every tensor of a checkpoint, byte for byte.
  std::map<std::string, std::vector<std::byte>> tensors(const std::string& run, int step) const {
    std::ostringstream name;
    name << "checkpoints/step-" << std::setw(8) << std::setfill('0') << step;
    Checkpoint checkpoint = Checkpoint::open((folder_ / run / name.str()).string());
    std::map<std::string, std::vector<std::byte>> all;
    for (const TensorBox& box : checkpoint.tensors()) {
      auto& bytes = all[box.name];
      bytes.resize(static_cast<std::size_t>(num_elements(box.shape)) * size_of(box.dtype));
      checkpoint.read(box, bytes);
    }
    return all;
  }

  TemporaryFolder temporary_;
  fs::path folder_ = temporary_.path();
};

TEST_F(OneRun, SameBitsOnAnyNumberOfRanks) {
  const auto one = train("np1", 1);
  ASSERT_EQ(one.size(), kSteps);
  EXPECT_LT(one.at(kSteps), one.at(1) - 0.5);  // it does learn
  for (const int ranks : {2, 4}) {
    const std::string name = "np" + std::to_string(ranks);
    EXPECT_EQ(train(name, ranks), one) << ranks << " ranks";
    EXPECT_EQ(tensors(name, kSteps), tensors("np1", kSteps)) << ranks << " ranks";
  }
  for (const int micro : {1, 4}) {
    const std::string size = std::to_string(micro);
    for (const auto& [step, loss] : train("micro" + size, 2, "--train.micro_batch=" + size))
      EXPECT_NEAR(loss, one.at(step), 1e-6 * one.at(step))
          << "micro-batch " << micro << " step " << step;
  }
}

TEST_F(OneRun, SameBitsAcrossAStopAfterAnyStep) {
  const auto whole = train("whole", 2);
  const auto last = tensors("whole", kSteps);
  for (const int step : {10, 20, 30, 40}) {
    const std::string name = "from" + std::to_string(step);
    const int ranks = step % 20 == 0 ? 4 : step == 10 ? 2 : 1;
    const auto rest = train(
        name, ranks,
        "--checkpoint.resume=" + path("whole") + "/checkpoints/step-000000" + std::to_string(step));
    EXPECT_EQ(rest.size(), static_cast<std::size_t>(kSteps - step));
    for (const auto& [at, loss] : rest) EXPECT_EQ(loss, whole.at(at)) << name << " step " << at;
    EXPECT_EQ(tensors(name, kSteps), last) << name << " on " << ranks << " ranks";
  }
}

TEST_F(OneRun, FastReductionLearnsTheSameToRounding) {
  const auto exact = train("exact", 2);
  for (const auto& [step, loss] : train("fast", 2, "--parallel.reduce=fast"))
    EXPECT_NEAR(loss, exact.at(step), 1e-4 * exact.at(step)) << step;
}

}  // namespace
}  // namespace fusor
