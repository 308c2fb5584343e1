#include "launch/device_group.h"

#include <gtest/gtest.h>

#include "tests/thrown_by.h"

namespace fusor {
namespace {

const RankDevice kFirst{"n01", "GPU-a", ""}, kSecond{"n01", "GPU-b", ""};
const RankDevice kCpu{"n02", "", ""}, kWithout{"n02", "GPU-c", "libnccl.so.2 is not there"};

TEST(ChooseTransport, NcclWhereEachRankHasItsGpu) {
  EXPECT_EQ(choose_transport(TransportKind::automatic, {kFirst, kSecond}), TransportKind::nccl);
  EXPECT_EQ(choose_transport(TransportKind::nccl, {kFirst, kSecond}), TransportKind::nccl);
  EXPECT_EQ(choose_transport(TransportKind::mpi, {kFirst, kSecond}), TransportKind::mpi);
}

TEST(ChooseTransport, ElseMpi) {
  EXPECT_EQ(choose_transport(TransportKind::automatic, {kFirst}), TransportKind::mpi);
  EXPECT_EQ(choose_transport(TransportKind::automatic, {kFirst, kFirst}), TransportKind::mpi);
  EXPECT_EQ(choose_transport(TransportKind::automatic, {kFirst, kCpu}), TransportKind::mpi);
  EXPECT_EQ(choose_transport(TransportKind::automatic, {kFirst, kWithout}), TransportKind::mpi);
  EXPECT_EQ(choose_transport(TransportKind::mpi, {kCpu, kWithout}), TransportKind::mpi);
}

TEST(ChooseTransport, SaysWhyNcclCannotBe) {
  const auto sentence = [](const std::vector<RankDevice>& ranks) {
    return thrown_by([&] { choose_transport(TransportKind::nccl, ranks); });
  };
  EXPECT_EQ(sentence({kSecond, kFirst, kFirst}),
            "ranks 1 and 2 on host n01 share GPU-a, which NCCL does not allow; "
            "parallel.transport = mpi works");
  EXPECT_EQ(sentence({kFirst, kCpu}),
            "rank 1 on host n02 has no GPU, which NCCL needs; parallel.transport = mpi works");
  EXPECT_EQ(sentence({kFirst, kWithout}),
            "rank 1 on host n02 cannot use NCCL: libnccl.so.2 is not there; "
            "parallel.transport = mpi works");
}

TEST(DeviceGroup, OfHostMemoryIsTheWorld) {
  run_ranks(2, [](World& world) {
    const Group group = device_group(world, Device(), TransportKind::automatic);
    EXPECT_EQ(group.operator->(), world.group().operator->());
    EXPECT_EQ(thrown_by([&] { device_group(world, Device(), TransportKind::nccl); }),
              "rank 0 on host " + world.host() +
                  " has no GPU, which NCCL needs; parallel.transport = mpi works");
  });
}

}  // namespace
}  // namespace fusor
