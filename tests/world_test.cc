#include "runtime/world.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <mpi.h>
#include <omp.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>

#include "tests/mpi_world.h"

namespace fusor {
namespace {

TEST(World, IsTheJobThatTheLauncherStarted) {
  const World& world = test_world();
  const char* size = std::getenv("OMPI_COMM_WORLD_SIZE");
  const char* rank = std::getenv("OMPI_COMM_WORLD_RANK");
  EXPECT_EQ(world.size(), size == nullptr ? 1 : std::atoi(size));
  EXPECT_EQ(world.rank(), rank == nullptr ? 0 : std::atoi(rank));
  EXPECT_EQ(world.local_size(), world.size()) << "all ranks are on this host";
  EXPECT_EQ(world.local_rank(), world.rank());
  EXPECT_EQ(world.group().name(), "world");
  char host[256] = {};
  gethostname(host, sizeof host - 1);
  EXPECT_EQ(world.host(), host);
}

TEST(World, AloneItNeverTouchesMpi) {
  int initialized = 0;
  MPI_Initialized(&initialized);
  EXPECT_EQ(initialized, test_world().size() > 1);
}

TEST(World, SetsTheThreadsOfOpenMp) {
  EXPECT_EQ(omp_get_max_threads(), test_world().threads());
  EXPECT_GE(test_world().threads(), 1);
}

TEST(World, IsJoinedOnce) { EXPECT_THROW(World::join(), Error); }

TEST(RunRanks, AreAJobOfTheirOwn) {
  std::atomic<int> ran = 0;
  run_ranks(3, [&](World& world) {
    EXPECT_EQ(world.size(), 3);
    EXPECT_EQ(world.local_rank(), world.rank());
    EXPECT_EQ(omp_get_max_threads(), world.threads());
    ran += 1 << world.rank();
  });
  EXPECT_EQ(ran, 0b111);
  EXPECT_THROW(run_ranks(0, [](World&) {}), Error);
}

}  // namespace
}  // namespace fusor
