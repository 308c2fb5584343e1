#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/spawn.h"

// Jobs of four ranks of which one fails while the others wait for it: the whole job ends, soon,
// with a status that is not zero and a message that names the rank.
namespace fusor {
namespace {

using testing::HasSubstr;

Outcome run_job(int ranks, const std::string& how) {
  return spawn(std::string(MPIEXEC " -np ") + std::to_string(ranks) +
               " " MPIEXEC_FLAGS " " FAILING_JOB " " + how);
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
  const Outcome job = spawn(FAILING_JOB " throw");
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
}  // namespace fusor
