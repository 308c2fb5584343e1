#pragma once
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <regex>
#include <string>
#include <vector>

#include "io/checkpoint.h"
#include "io/checkpoint_folder.h"
#include "io/checksum.h"
#include "tests/spawn.h"
#include "tests/temporary_folder.h"

namespace fusor {

namespace fs = std::filesystem;

inline const char* const kTinyRecipe = R"(
[model]
preset = llama-tiny
vocab_size = 256
layers = 2
width = 32
heads = 4
kv_heads = 2
mlp_hidden = 80
[data]
path = data
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

// Runs of the fusor program, under mpirun and alone, in a folder of the test's own: a tiny recipe
// tiny.ini, the dataset data/ and what the test trains.
class Runs : public testing::Test {
 protected:
  void SetUp() override {
    std::ofstream text(folder_ / "text");
    for (int i = 0; i < 400; ++i)
      text << "Verse " << i * i << ": " << i % 7 << " and " << i << "\n\n";
    text.close();
    std::ofstream(folder_ / "tiny.ini") << kTinyRecipe;
    fusor("data text --input text --output data");
  }

  // Arguments that train into the folder `run`.
  static std::string train(const std::string& run, const std::string& overrides = "") {
    return "train tiny.ini --log.dir=" + run + " " + overrides;
  }
  // A command of so many ranks.
  static std::string on(int ranks, const std::string& arguments) {
    const std::string mpirun =
        ranks == 1 ? "" : MPIEXEC " -np " + std::to_string(ranks) + " " MPIEXEC_FLAGS " ";
    return "env OMP_NUM_THREADS=1 " + mpirun + FUSOR_PROGRAM " " + arguments;
  }
  // The output of a command that must succeed.
  std::string fusor(const std::string& arguments, int ranks = 1) const {
    const Outcome outcome = spawn(on(ranks, arguments), folder_);
    EXPECT_EQ(outcome.status, 0) << arguments << '\n' << outcome.output;
    return outcome.output;
  }
  // The one sentence of a shell command that must fail, told by one of its ranks.
  std::string sentence(const std::string& command) const {
    // Open MPI would give ranks that have ended a second to end.
    const Outcome outcome = spawn("env OMPI_MCA_odls_base_sigkill_timeout=0 " + command, folder_);
    EXPECT_EQ(outcome.status, 1) << command << '\n' << outcome.output;
    const std::string lines = told(outcome.output);
    EXPECT_EQ(std::ranges::count(lines, '\n'), 1) << command << '\n' << outcome.output;
    std::smatch parts;
    std::regex_search(lines, parts, std::regex("fusor: (?:rank [0-9]+ on host [^ ]+: )?(.*)"));
    return parts[1];
  }
  // That of 2 ranks, when all of them meet the mistake.
  std::string mistake(const std::string& arguments) const { return sentence(on(2, arguments)); }

  // The values of a run's metrics of one kind, by step.
  std::map<int, double> metrics(const std::string& run, const std::string& kind = "train") const {
    std::map<int, double> values;
    std::ifstream file(folder_ / run / "metrics.jsonl");
    for (std::string line; std::getline(file, line) && !file.eof();) {
      const auto event = nlohmann::json::parse(line);
      if (event.at("kind") == kind) values[event.at("step")] = event.at("loss");
    }
    return values;
  }
  static std::string checkpoint(const std::string& run, int step) {
    return step_folder(run + "/checkpoints", step);
  }
  std::vector<std::int64_t> saved(const std::string& run) const {
    return saved_steps(folder_ / run / "checkpoints");
  }
  // The checksum of every tensor of a checkpoint.
  std::map<std::string, std::string> tensors(const std::string& run, int step) const {
    Checkpoint opened = Checkpoint::open(folder_ / checkpoint(run, step));
    std::map<std::string, std::string> sums;
    for (const TensorBox& box : opened.tensors()) {
      std::vector<std::byte> bytes(static_cast<std::size_t>(num_elements(box.shape)) *
                                   size_of(box.dtype));
      opened.read(box, bytes);
      sums[box.name] = checksum_text(checksum(bytes));
    }
    return sums;
  }

  TemporaryFolder temporary_;
  std::filesystem::path folder_ = temporary_.path();
};

}  // namespace fusor
