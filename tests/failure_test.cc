#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <string>

// Jobs of four ranks of which one fails while the others wait for it: the whole job ends, soon,
// with a status that is not zero and a message that names the rank.
namespace {

using testing::HasSubstr;

struct Outcome {
  int status;  // of exit
  std::string output;
  double seconds;
};

Outcome run(const std::string& command) {
  const auto start = std::chrono::steady_clock::now();
  std::FILE* pipe = popen((command + " 2>&1").c_str(), "r");
  Outcome outcome{};
  std::array<char, 4096> buffer;
  for (std::size_t n; (n = std::fread(buffer.data(), 1, buffer.size(), pipe)) != 0;)
    outcome.output.append(buffer.data(), n);
  const int status = pclose(pipe);
  outcome.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  outcome.seconds = seconds.count();
  return outcome;
}

Outcome run_job(int ranks, const std::string& how) {
  return run(std::string(MPIEXEC " -np ") + std::to_string(ranks) +
             " " MPIEXEC_FLAGS " " FAILING_JOB " " + how);
}

// The lines of `text` that begin with "fusor: ".
std::string told(const std::string& text) {
  std::string lines;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    if (text.compare(at, 7, "fusor: ") == 0) lines += text.substr(at, end - at) + "\n";
    at = end + 1;
  }
  return lines;
}

constexpr double kSoon = 10;  // seconds, start-up included

TEST(Failure, NoneEndsWell) {
  for (const int ranks : {1, 4}) {
    const Outcome job = run_job(ranks, "none");
    EXPECT_EQ(job.status, 0) << job.output;
    EXPECT_THAT(job.output, HasSubstr("all is well"));
    EXPECT_EQ(told(job.output), "");
  }
}

TEST(Failure, ARankThatThrowsEndsTheJob) {
  const Outcome job = run_job(4, "throw");
  EXPECT_EQ(job.status, 1) << job.output;
  EXPECT_LT(job.seconds, kSoon);
  EXPECT_THAT(told(job.output),
              testing::MatchesRegex("fusor: rank 3 on host [^ ]*: the data of shard 7 is bad\n"));
}

TEST(Failure, AloneItNeedsNoRank) {
  const Outcome job = run(FAILING_JOB " throw");
  EXPECT_EQ(job.status, 1);
  EXPECT_EQ(job.output, "fusor: the data of shard 7 is bad\n");
}

TEST(Failure, ARankThatIsKilledEndsTheJob) {
  const Outcome job = run_job(4, "kill");
  EXPECT_NE(job.status, 0) << job.output;
  EXPECT_LT(job.seconds, kSoon);
  EXPECT_THAT(job.output, HasSubstr("rank 3"));
  EXPECT_THAT(job.output, HasSubstr("signal 9"));
}

TEST(Failure, ARankThatLeavesEarlyEndsTheJob) {
  const Outcome job = run_job(4, "exit");
  EXPECT_NE(job.status, 0) << job.output;
  EXPECT_LT(job.seconds, kSoon);
}

}  // namespace
