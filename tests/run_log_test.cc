#include "runtime/run_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "runtime/error.h"
#include "tests/temporary_folder.h"

namespace fusor {
namespace {

using ::testing::HasSubstr;

TEST(RunLog, FormatsNumbersForPeople) {
  EXPECT_EQ(format_count(0), "0");
  EXPECT_EQ(format_count(512.4), "512");
  EXPECT_EQ(format_count(999.6), "1.00k");
  EXPECT_EQ(format_count(12345), "12.3k");
  EXPECT_EQ(format_count(999.96e3), "1.00M");
  EXPECT_EQ(format_count(1.24e8), "124M");
  EXPECT_EQ(format_count(3e15), "3000T");
  EXPECT_EQ(format_duration(0.4), "0s");
  EXPECT_EQ(format_duration(59.7), "1m00s");
  EXPECT_EQ(format_duration(200), "3m20s");
  EXPECT_EQ(format_duration(7500), "2h05m");
  EXPECT_EQ(format_duration(273600), "3d04h");
  EXPECT_EQ(format_duration(-1), "0s");
}

Progress example(std::int64_t step) {
  return {.step = step,
          .num_steps = 1000,
          .loss = 2.34567,
          .seconds_per_step = 0.25,
          .units_per_step = 1024,
          .flops_per_step = 1e12,
          .peak_flops = 1e13};
}

TEST(RunLog, ProgressTellsWhatIsKnown) {
  EXPECT_EQ(format_progress(example(200)),
            "step 200/1000 | loss 2.3457 | 4.10k tokens/s | 40.0 % of peak | 3m20s left");
  Progress early = example(0);
  early.seconds_per_step = 0;
  EXPECT_EQ(format_progress(early), "step 0/1000 | loss 2.3457");
  Progress cpu = example(999);
  cpu.peak_flops = 0;
  EXPECT_EQ(share_of_peak(cpu), 0);
  EXPECT_EQ(format_progress(cpu), "step 999/1000 | loss 2.3457 | 4.10k tokens/s | 0s left");
}

// A log with a screen that can be read back.
struct LogOnScreen {
  explicit LogOnScreen(bool live) : log(folder.path() + "/run.log", screen, live) {}
  ~LogOnScreen() { std::fclose(screen); }
  std::string shown() {
    std::string text(1 << 16, '\0');
    std::rewind(screen);
    text.resize(std::fread(text.data(), 1, text.size(), screen));
    return text;
  }
  std::string file() {
    std::ostringstream text;
    text << std::ifstream(folder.path() + "/run.log").rdbuf();
    return text.str();
  }
  TemporaryFolder folder;
  std::FILE* screen = std::tmpfile();
  RunLog log;
};

TEST(RunLog, PrintsAPlainLineEveryTenSeconds) {
  LogOnScreen s(false);
  for (int i = 1; i <= 25; ++i) s.log.progress(example(i), i);
  EXPECT_EQ(s.shown(), format_progress(example(1)) + '\n' + format_progress(example(11)) + '\n' +
                           format_progress(example(21)) + '\n');
  EXPECT_EQ(std::ranges::count(s.file(), '\n'), 3);
}

TEST(RunLog, AlwaysShowsTheLastStep) {
  LogOnScreen s(false);
  s.log.progress(example(999), 1);
  s.log.progress(example(1000), 1.5);
  EXPECT_THAT(s.shown(), HasSubstr("step 1000/1000"));
}

TEST(RunLog, RewritesTheLiveLineAndClearsItForOthers) {
  LogOnScreen s(true);
  s.log.progress(example(9), 1);
  s.log.progress(example(10), 1.01);  // too soon to be seen
  s.log.progress(example(11), 2);
  s.log.say("saved");
  const std::string first = format_progress(example(9)), second = format_progress(example(11));
  EXPECT_EQ(s.shown(),
            '\r' + first + '\r' + second + '\r' + std::string(second.size(), ' ') + "\rsaved\n");
}

TEST(RunLog, StampsEveryLineOfTheFile) {
  LogOnScreen s(false);
  s.log.say("one\ntwo");
  EXPECT_EQ(s.shown(), "one\ntwo\n");
  std::istringstream lines(s.file());
  std::string one, two;
  std::getline(lines, one);
  std::getline(lines, two);
  EXPECT_THAT(one, ::testing::MatchesRegex("....-..-.. ..:..:..  one"));
  EXPECT_THAT(two, ::testing::MatchesRegex("....-..-.. ..:..:..  two"));
}

TEST(RunLog, NamesAFileThatCannotBeOpened) {
  EXPECT_THROW(RunLog("/nowhere/run.log", nullptr, false), Error);
}

TEST(RunLog, AFileIsNoTerminal) {
  std::FILE* file = std::tmpfile();
  EXPECT_FALSE(is_terminal(file));
  std::fclose(file);
}

}  // namespace
}  // namespace fusor
