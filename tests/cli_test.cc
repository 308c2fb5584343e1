// The fusor program as its user meets it: exit status, and one sentence on stderr for a mistake.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

namespace fusor {
namespace {

using ::testing::HasSubstr;

struct Outcome {
  int status;
  std::string out, err;
};

std::string read_file(const std::filesystem::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

class Cli : public ::testing::Test {
 protected:
  Cli() { std::filesystem::create_directories(dir_); }
  ~Cli() override { std::filesystem::remove_all(dir_); }

  // `arguments` are words for the shell, run in the test's own folder.
  Outcome run(const std::string& arguments) const {
    const std::string command =
        "cd '" + dir_.string() + "' && '" FUSOR_PROGRAM "' " + arguments + " >out 2>err </dev/null";
    const int status = std::system(command.c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, read_file(dir_ / "out"),
            read_file(dir_ / "err")};
  }

  // The whole of stderr, which must be one line that ends a run with a status other than 0.
  std::string mistake(const std::string& arguments) const {
    const Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.status, 1) << arguments;
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
    return outcome.err;
  }

  void write_recipe(const std::string& text) const { std::ofstream(dir_ / "tiny.ini") << text; }

  const std::filesystem::path dir_ =
      std::filesystem::path(::testing::TempDir()) /
      (std::string("fusor_cli_") + ::testing::UnitTest::GetInstance()->current_test_info()->name());
};

TEST_F(Cli, HelpAndVersion) {
  for (const char* arguments : {"", "--help", "-h", "help"}) {
    const Outcome help = run(arguments);
    EXPECT_EQ(help.status, 0);
    EXPECT_THAT(help.out, HasSubstr("usage: fusor COMMAND"));
    EXPECT_EQ(help.err, "");
  }
  EXPECT_EQ(run("--version").out, "fusor " FUSOR_VERSION "\n");
}

TEST_F(Cli, UnknownCommandsNameTheNearest) {
  EXPECT_EQ(mistake("zebra"), "fusor: unknown command \"zebra\", fusor --help lists them all\n");
}

}  // namespace
}  // namespace fusor
