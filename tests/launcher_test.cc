#include "runtime/launcher.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <cstdlib>
#include <map>
#include <string>

#include "runtime/error.h"
#include "tests/thrown_by.h"

namespace fusor {
namespace {

using Variables = std::map<std::string, std::string>;

Launch detect(const Variables& variables) {
  return detect_launch([&](const char* name) -> const char* {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  });
}

std::string refusal(const Variables& variables) {
  return thrown_by([&] { detect(variables); });
}

TEST(Launcher, BareIsAlone) {
  const Launch launch = detect({});
  EXPECT_FALSE(launch.mpi);
  EXPECT_EQ(launch.size, 1);
  EXPECT_EQ(launch.local_size, 1);
}

TEST(Launcher, Mpirun) {
  Variables job = {{"OMPI_COMM_WORLD_SIZE", "8"},
                   {"OMPI_COMM_WORLD_LOCAL_SIZE", "4"},
                   {"OMPI_COMM_WORLD_LOCAL_RANK", "3"},
                   {"OMPI_MCA_orte_bound_at_launch", "1"},
                   {"PMIX_RANK", "3"}};
  const Launch two_hosts = detect(job);
  EXPECT_TRUE(two_hosts.mpi);
  EXPECT_EQ(two_hosts.size, 8);
  EXPECT_EQ(two_hosts.local_size, 4);
  EXPECT_EQ(two_hosts.local_rank, 3);
  EXPECT_FALSE(two_hosts.one_host);
  EXPECT_TRUE(two_hosts.default_binding);

  job["OMPI_MCA_hwloc_base_binding_policy"] = "core";
  EXPECT_FALSE(detect(job).default_binding) << "the user's own binding";
  job["OMPI_COMM_WORLD_SIZE"] = "4";
  EXPECT_TRUE(detect(job).one_host);
}

TEST(Launcher, OneRankOfMpirunIsAlone) {
  EXPECT_FALSE(detect({{"OMPI_COMM_WORLD_SIZE", "1"}, {"PMIX_RANK", "0"}}).mpi);
}

TEST(Launcher, SrunWithPmix) {
  const Launch launch = detect({{"PMIX_RANK", "1"},
                                {"SLURM_STEP_NUM_TASKS", "4"},
                                {"SLURM_STEP_NUM_NODES", "2"},
                                {"SLURM_LOCALID", "1"}});
  EXPECT_TRUE(launch.mpi);
  EXPECT_EQ(launch.size, 4);
  EXPECT_EQ(launch.local_size, 2);
  EXPECT_FALSE(launch.one_host);
}

TEST(Launcher, RefusesTasksThatWouldRunAlone) {
  EXPECT_EQ(refusal({{"SLURM_STEP_NUM_TASKS", "4"}, {"SLURM_PROCID", "0"}}),
            "started by srun without --mpi=pmix: each of the 4 tasks would run alone; use srun "
            "--mpi=pmix or mpirun");
  EXPECT_EQ(refusal({{"PMI_SIZE", "2"}, {"PMI_RANK", "0"}}),
            "started by a launcher of another MPI: each of the 2 processes would run alone; use "
            "Open MPI's mpirun or srun --mpi=pmix");
  // A batch script, and one task, may run a program alone.
  EXPECT_EQ(refusal({{"SLURM_NTASKS", "4"}, {"SLURM_PROCID", "0"}}), "no error");
  EXPECT_EQ(refusal({{"SLURM_STEP_NUM_TASKS", "1"}}), "no error");
}

class Prepared : public testing::Test {
 protected:
  void SetUp() override {
    for (const char* name : kNames) unsetenv(name);
  }
  void TearDown() override { SetUp(); }
  static std::string value(const char* name) {
    const char* text = std::getenv(name);
    return text == nullptr ? "unset" : text;
  }
  static constexpr const char* kNames[] = {"OMPI_MCA_pml", "OMPI_MCA_btl",
                                           "OMPI_MCA_mpi_yield_when_idle"};
};

TEST_F(Prepared, RanksYieldWhileTheyWait) {
  prepare_mpi({.mpi = true, .size = 4, .local_size = 4});
  EXPECT_EQ(value("OMPI_MCA_mpi_yield_when_idle"), "1");
  EXPECT_EQ(value("OMPI_MCA_pml"), "ob1");
  EXPECT_EQ(value("OMPI_MCA_btl"), "self,vader");
}

TEST_F(Prepared, SeveralHostsKeepTheirNetwork) {
  prepare_mpi({.mpi = true, .size = 4, .local_size = 2, .one_host = false});
  EXPECT_EQ(value("OMPI_MCA_mpi_yield_when_idle"), "1");
  EXPECT_EQ(value("OMPI_MCA_pml"), "unset");
  EXPECT_EQ(value("OMPI_MCA_btl"), "unset");
}

TEST_F(Prepared, TheUserHasTheLastWord) {
  setenv("OMPI_MCA_pml", "ucx", 1);
  setenv("OMPI_MCA_mpi_yield_when_idle", "0", 1);
  prepare_mpi({.mpi = true, .size = 4, .local_size = 4});
  EXPECT_EQ(value("OMPI_MCA_pml"), "ucx");
  EXPECT_EQ(value("OMPI_MCA_mpi_yield_when_idle"), "0");
}

// mpirun binds a single rank to one core, though it could have them all.
TEST(Binding, WidensToTheShareUnlessTheUserChose) {
  const std::vector<int> cores = host_cores();
  if (cores.size() < 2) GTEST_SKIP() << "one core has nothing to share";
  cpu_set_t before, one, now;
  ASSERT_EQ(sched_getaffinity(0, sizeof before, &before), 0);
  CPU_ZERO(&one);
  CPU_SET(cores[0], &one);
  ASSERT_EQ(sched_setaffinity(0, sizeof one, &one), 0);
  const auto bound_after = [&](const Launch& launch) {
    widen_binding(launch, cores);
    sched_getaffinity(0, sizeof now, &now);
    return static_cast<std::size_t>(CPU_COUNT(&now));
  };
  EXPECT_EQ(bound_after({.mpi = true, .default_binding = false}), 1U);
  EXPECT_EQ(bound_after({.mpi = true, .default_binding = true}), cores.size());
  sched_setaffinity(0, sizeof before, &before);
}

TEST(Threads, AreTheShareOfARankAtLeastOne) {
  const char* before = std::getenv("OMP_NUM_THREADS");
  const std::string kept = before == nullptr ? "" : before;
  unsetenv("OMP_NUM_THREADS");
  EXPECT_EQ(threads_per_rank(1, 1), 1);
  EXPECT_EQ(threads_per_rank(4, 2), 1);
  EXPECT_EQ(threads_per_rank(1, 1 << 20), static_cast<int>(host_cores().size()));
  setenv("OMP_NUM_THREADS", "3,1", 1);
  EXPECT_EQ(threads_per_rank(4, 2), 3);
  before == nullptr ? unsetenv("OMP_NUM_THREADS") : setenv("OMP_NUM_THREADS", kept.c_str(), 1);
}

}  // namespace
}  // namespace fusor
