#include "runtime/nccl_transport.h"

#include <gmock/gmock.h>

#include "emulated/nccl_control.h"
#include "runtime/copy.h"
#include "runtime/nccl_job.h"
#include "runtime/world.h"
#include "tests/thrown_by.h"

// What the rows of all transports cannot see: errors, lost peers and streams, with NCCL emulated.
namespace fusor {
namespace {

using emulator::nccl_counts;

// A rank of a group over NCCL, with its device.
struct Rank {
  Device device = Device::cuda(0, /*poison=*/true);
  Group host, group;

  explicit Rank(World& world, double patience = 60)
      : host(world.group()),
        group(nccl_group(world.group(), device, nccl_library(),
                         std::chrono::duration<double>(patience))) {}

  Tensor ones(std::int64_t n = 3) const {
    const Tensor own({n}, DType::f32);
    for (float& x : own.host<float>()) x = 1;
    Tensor t({n}, DType::f32, device);
    copy(own, t);
    synchronize(device);
    return t;
  }
};

// The message of the rank that fails first.
std::string failure_of(int ranks, const std::function<void(Rank&)>& main, double patience = 60) {
  return thrown_by([&] {
    run_ranks(ranks, [&](World& world) {
      Rank rank(world, patience);
      main(rank);
    });
  });
}

float first_of(const Tensor& t) { return on_host(t).host<float>()[0]; }

TEST(NcclTransport, AnErrorOfNcclEndsTheJob) {
  const std::string text = failure_of(2, [](Rank& rank) {
    const Tensor t = rank.ones();
    rank.group->all_reduce(t, ReduceOp::sum, "before").wait();
    synchronize(rank.device);
    Pending sum = rank.group->all_reduce(t, ReduceOp::sum, "grads");
    if (rank.group.rank() == 1) emulator::fail_nccl(ncclSystemError);
    sum.wait();
    synchronize(rank.device);
    rank.host->barrier("never on rank 1");
  });
  EXPECT_EQ(text, "rank 1: all_reduce \"grads\" over world: NCCL: unhandled system error");
}

// The others are released from where the host waits for the device, and the cause is told.
TEST(NcclTransport, AFailedRankReleasesThoseWhoWait) {
  const auto before = nccl_counts();
  const std::string text = failure_of(3, [](Rank& rank) {
    const Tensor t = rank.ones();
    rank.group->all_reduce(t, ReduceOp::sum, "all come").wait();
    synchronize(rank.device);
    require(rank.group.rank() != 2, "out of luck");
    rank.group->all_reduce(t, ReduceOp::sum, "rank 2 does not come").wait();
    synchronize(rank.device);
  });
  EXPECT_EQ(text, "rank 2: out of luck");
  EXPECT_EQ(nccl_counts().aborted - before.aborted, 3);
  EXPECT_EQ(nccl_counts().destroyed, before.destroyed);
}

TEST(NcclTransport, AFailedRankReleasesThoseWhoWaitForAGraph) {
  const std::string text = failure_of(2, [](Rank& rank) {
    const Tensor t = rank.ones();
    const auto sum = [&] { rank.group->all_reduce(t, ReduceOp::sum, "sum").wait(); };
    sum();
    synchronize(rank.device);
    const auto captured = rank.device.backend().capture(sum);
    require(rank.group.rank() != 1, "out of luck");
    captured->queue();
    synchronize(rank.device);
  });
  EXPECT_EQ(text, "rank 1: out of luck");
}

TEST(NcclTransport, ValuesOfTheHostAreNoPartOfAGraph) {
  const std::string text = failure_of(2, [](Rank& rank) {
    const Tensor on_host({1}, DType::f32);
    rank.device.backend().capture(
        [&] { rank.group->all_reduce(on_host, ReduceOp::sum, "flags").wait(); });
  });
  EXPECT_THAT(text, testing::HasSubstr("all_reduce \"flags\" over world: the host's values cannot "
                                       "be part of a graph"));
}

TEST(NcclTransport, WhatIsInFlightIsAbortedBeforeItsOperandsGo) {
  const std::string text = failure_of(2, [](Rank& rank) {
    Pending sum = rank.group->all_reduce(rank.ones(), ReduceOp::sum, "sum");
    require(rank.group.rank() != 0, "out of luck");
    sum.wait();
    synchronize(rank.device);
  });
  EXPECT_EQ(text, "rank 0: out of luck");
}

TEST(NcclTransport, APeerThatNeverComesEndsTheJob) {
  const auto main = [](Rank& rank) {
    const Tensor t = rank.ones();
    rank.group->all_reduce(t, ReduceOp::sum, "all come").wait();
    synchronize(rank.device);
    if (rank.group.rank() == 0) {
      rank.group->all_reduce(t, ReduceOp::sum, "alone").wait();
      synchronize(rank.device);
    }
    rank.host->barrier("rank 1 lives");
  };
  EXPECT_EQ(failure_of(2, main, /*patience=*/0.5),
            "rank 0: all_reduce \"alone\" over world: not all of its 2 ranks came within 0.5 s");
}

TEST(NcclTransport, CallsThatDoNotMatchAreAnError) {
  const std::string text = failure_of(2, [](Rank& rank) {
    rank.group->all_reduce(rank.ones(3 + rank.group.rank()), ReduceOp::sum, "sum").wait();
    synchronize(rank.device);
  });
  EXPECT_NE(text.find("all_reduce \"sum\" over world: NCCL: invalid usage"), text.npos) << text;
}

// The device waits, not the host; and it must be told to.
TEST(NcclTransport, ResultsAreThereForWhatIsQueuedAfterTheWait) {
  run_ranks(2, [](World& world) {
    const Rank rank(world);
    const Tensor t = rank.ones();
    Pending sum = rank.group->all_reduce(t, ReduceOp::sum, "sum");
    EXPECT_EQ(first_of(t), 1) << "nothing that is queued waits for the call yet";
    sum.wait();
    EXPECT_EQ(first_of(t), 2);
  });
}

// The call waits for what the device computes before it: rank 1, which comes last, asks for the
// call alone, so nothing else makes its device compute.
TEST(NcclTransport, OperandsAreThoseOfTheDeviceAtTheCall) {
  run_ranks(2, [](World& world) {
    const Rank rank(world);
    const Tensor one = rank.ones(), t({3}, DType::f32, rank.device);
    rank.group->all_reduce(one, ReduceOp::sum, "all come").wait();
    synchronize(rank.device);
    if (world.rank() == 1) rank.host->barrier("rank 0 has come");
    copy(one, t);
    Pending sum = rank.group->all_reduce(t, ReduceOp::sum, "sum");
    for (int look = 0; look < 20 && !sum.done(); ++look) {
    }
    if (world.rank() == 0) rank.host->barrier("rank 0 has come");
    rank.host->barrier("both have");
    sum.wait();
    EXPECT_EQ(first_of(t), 4);
  });
}

// Receives are posted before the sends that answer them, and groups used in any order.
TEST(NcclTransport, PostingWaitsForNobody) {
  run_ranks(2, [](World& world) {
    const Rank rank(world);
    const int other = 1 - world.rank();
    const Group groups[] = {rank.group.split({0, 0}, "a"), rank.group.split({0, 0}, "b")};
    const Tensor got = rank.ones(), sent = rank.ones(), sums[] = {rank.ones(), rank.ones()};
    Pending receive = rank.group->recv(got, other, "early");
    Pending first = groups[world.rank()]->all_reduce(sums[world.rank()], ReduceOp::sum, "first");
    Pending second = groups[other]->all_reduce(sums[other], ReduceOp::sum, "second");
    Pending send = rank.group->send(sent, other, "late");
    for (Pending* pending : {&first, &second, &receive, &send}) pending->wait();
    EXPECT_EQ(first_of(sums[0]) + first_of(sums[1]) + first_of(got), 5);
  });
}

TEST(NcclTransport, CommunicatorsAreMadeWhenUsedAndDestroyed) {
  const auto before = nccl_counts();
  run_ranks(4, [](World& world) {
    const Rank rank(world);
    const Group pair = rank.group.split({0, 0, 1, 1}, "pair"),
                unused = pair.split({0, 0}, "unused");
    pair->all_reduce(rank.ones(), ReduceOp::sum, "sum").wait();
    if (world.rank() == 0) rank.group->send(rank.ones(), 3, "message").wait();
    if (world.rank() == 3) rank.group->recv(rank.ones(), 0, "message").wait();
  });
  EXPECT_EQ(nccl_counts().made - before.made, 4 + 2);
  EXPECT_EQ(nccl_counts().destroyed - before.destroyed, 4 + 2);
  EXPECT_EQ(nccl_counts().aborted, before.aborted);
}

TEST(NcclTransport, ACapturedCallIsMadeAgain) {
  run_ranks(2, [](World& world) {
    const Rank rank(world);
    const Tensor t = rank.ones();
    const auto sum = [&] { rank.group->all_reduce(t, ReduceOp::sum, "sum").wait(); };
    sum();  // a communicator is not made in a capture
    synchronize(rank.device);
    const auto captured = rank.device.backend().capture(sum);
    captured->queue();
    captured->queue();
    EXPECT_EQ(first_of(t), 8);
  });
}

TEST(NcclLibrary, OldVersionsAreRefused) {
  EXPECT_EQ(nccl_refusal(22809), "");
  EXPECT_EQ(nccl_refusal(21705), "it is NCCL 2.17.5, Fusor needs 2.18.0 or later");
}

}  // namespace
}  // namespace fusor
