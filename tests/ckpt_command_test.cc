#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <iostream>
#include <memory>
#include <sstream>

#include "launch/commands.h"
#include "tests/checkpoint_fixture.h"
#include "tests/temporary_folder.h"

namespace fusor {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;

// A run with checkpoints of steps 100 and 200, each of two shards.
class CkptCommand : public ::testing::Test {
 protected:
  CkptCommand() {
    SavingRanks ranks(checkpoints, 2);
    for (const std::int64_t step : {100, 200}) ranks.save(step, small_model());
  }
  // What `fusor ckpt ARGS` prints; an Error comes after it.
  static std::string run(const std::vector<std::string>& args) {
    std::ostringstream printed;
    auto* const before = std::cout.rdbuf(printed.rdbuf());
    try {
      EXPECT_EQ(ckpt_command(args), 0);
    } catch (const Error& error) {
      printed << "fusor: " << error.what();
    }
    std::cout.rdbuf(before);
    return printed.str();
  }
  void flip_last_byte(const std::string& path) const {
    std::FILE* file = std::fopen(path.c_str(), "r+");
    std::fseek(file, -1, SEEK_END);
    const int byte = std::fgetc(file);
    std::fseek(file, -1, SEEK_END);
    std::fputc(byte ^ 1, file);
    std::fclose(file);
  }

  TemporaryFolder run_folder;
  std::string checkpoints = run_folder.path() + "/checkpoints";
  std::string shard = checkpoints + "/step-00000200/shard-00001-of-00002.safetensors";
};

TEST_F(CkptCommand, ListsARunsCheckpoints) {
  fs::create_directory(checkpoints + "/step-00000300.tmp");
  const std::string printed = run({"ls", run_folder.path()});
  EXPECT_THAT(printed, ContainsRegex("\nstep-00000100 +[0-9]+s +100 +[0-9.]+kB +6 +2  whole\n"));
  EXPECT_THAT(printed, ContainsRegex("\nstep-00000200 +[0-9]+s +200 +[0-9.]+kB +6 +2  whole\n"));
  EXPECT_THAT(printed, ContainsRegex("\nstep-00000300.tmp +[0-9]+s  not whole: being written"));
  EXPECT_THAT(run({"ls", checkpoints + "/step-00000100/"}), HasSubstr("step-00000100"));
}

TEST_F(CkptCommand, ListsWhyACheckpointIsNotWhole) {
  fs::resize_file(shard, 100);
  EXPECT_THAT(run({"ls", run_folder.path()}),
              AllOf(ContainsRegex("\nstep-00000100 .* whole\n"),
                    HasSubstr("not whole: " + shard + " is truncated: it has 100 bytes")));
}

TEST_F(CkptCommand, VerifiesEveryByteOfTheNewest) {
  EXPECT_THAT(run({"verify", run_folder.path()}),
              AllOf(HasSubstr("shard-00001-of-00002.safetensors  ok\n"),
                    HasSubstr("step 200, 6 tensors, "), HasSubstr("all of it whole")));
  flip_last_byte(shard);
  EXPECT_THAT(run({"verify", run_folder.path()}),
              AllOf(HasSubstr("shard-00000-of-00002.safetensors  ok\n"),
                    HasSubstr("shard-00001-of-00002.safetensors  BAD\n"),
                    HasSubstr("fusor: " + shard + " is damaged")));
  EXPECT_THAT(run({"verify", checkpoints + "/step-00000100"}), HasSubstr("all of it whole"));
}

TEST_F(CkptCommand, ExplainsItselfAndItsRefusals) {
  EXPECT_THAT(run({}), HasSubstr("usage: fusor ckpt ls PATH"));
  EXPECT_THAT(run({"--help"}), HasSubstr("usage: fusor ckpt ls PATH"));
  EXPECT_THAT(run({"ls", "--help"}), HasSubstr("usage: fusor ckpt ls PATH"));
  EXPECT_THAT(run({"verify", "--help"}), HasSubstr("usage: fusor ckpt verify PATH"));
  EXPECT_THAT(run({"verfy"}), HasSubstr("did you mean \"verify\"?"));
  EXPECT_THAT(run({"ls"}), HasSubstr("name the folder"));
  EXPECT_THAT(run({"ls", "/nowhere"}), HasSubstr("there is no checkpoint in /nowhere"));
  EXPECT_THAT(run({"verify", "/nowhere"}), HasSubstr("there is no folder /nowhere"));
}

}  // namespace
}  // namespace fusor
