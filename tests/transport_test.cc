#include <gtest/gtest.h>

#include "runtime/staged_transport.h"
#include "runtime/trace.h"
#include "runtime/world.h"
#include "tests/thrown_by.h"
#include "tests/transport_rows.h"

namespace fusor {
namespace {

class Transports : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Ranks, Transports, testing::Values(1, 2, 3, 4));

TEST(SelfTransport, Rows) {
  for (const TransportRow& row : kTransportRows) {
    SCOPED_TRACE(row.name);
    row.body(DeviceGroup(Group()));
  }
}

TEST_P(Transports, ThreadRows) {
  run_ranks(GetParam(), [](World& world) {
    for (const TransportRow& row : kTransportRows) {
      SCOPED_TRACE(std::string(row.name) + " on rank " + std::to_string(world.rank()));
      row.body(DeviceGroup(world.group()));
    }
  });
}

// A heap that is told apart from the process's own stands for a device.
TEST(StagedTransport, Rows) {
  run_ranks(3, [](World& world) {
    const Device device = Device::heap(/*poison=*/true);
    const Group group = staged(world.group(), device);
    for (const TransportRow& row : kTransportRows) {
      SCOPED_TRACE(std::string(row.name) + " on rank " + std::to_string(world.rank()));
      row.body(DeviceGroup(group, device));
      row.body(DeviceGroup(group));
    }
  });
}

TEST(StagedTransport, OperandsAreBothOnTheDevice) {
  run_ranks(2, [](World& world) {
    const Device device = Device::heap(/*poison=*/true);
    const Group group = staged(world.group(), device);
    const Tensor in({2}, DType::f32, device), out({4}, DType::f32);
    EXPECT_EQ(thrown_by([&] { group->all_gather(in, out, "x"); }),
              "all_gather \"x\" over world: one operand is on the device, the other is not");
  });
}

std::string failure_of(int size, const std::function<void(World&)>& main) {
  try {
    run_ranks(size, main);
  } catch (const Error& error) {
    return error.what();
  }
  return "no failure";
}

// Whatever the others wait for, they are released, and the cause is what is told.
TEST(ThreadsTransport, OneFailureReleasesAll) {
  const auto fails_in = [](void (*wait)(const Group&)) {
    return failure_of(4, [&](World& world) {
      const Tensor held({3}, DType::f32);
      const Pending never =
          world.rank() == 2 ? Pending() : world.group()->all_reduce(held, ReduceOp::max, "h");
      require(world.rank() != 2, "out of ", "luck");
      wait(world.group());
    });
  };
  EXPECT_EQ(fails_in([](const Group& g) { g->barrier("b"); }), "rank 2: out of luck");
  EXPECT_EQ(fails_in([](const Group& g) { g->recv(Tensor({1}, DType::f32), 2, "r").wait(); }),
            "rank 2: out of luck");
  EXPECT_EQ(fails_in([](const Group& g) {
              gather_texts(g.split({0, 0, 0, 0}, "s"), "x", "t");
            }),
            "rank 2: out of luck");
  EXPECT_EQ(fails_in([](const Group&) {}), "rank 2: out of luck");
}

TEST(ThreadsTransport, NamesBothSidesOfAMismatch) {
  const std::string text = failure_of(2, [](World& world) {
    const Tensor t({5 + world.rank()}, DType::f32);
    world.group()->all_reduce(t, ReduceOp::sum, "gradients").wait();
  });
  EXPECT_NE(text.find("all_reduce \"gradients\" over world of 5 f32"), text.npos) << text;
  EXPECT_NE(text.find("all_reduce \"gradients\" over world of 6 f32"), text.npos) << text;
}

// A rehearsal of rank 3 of 4: calls are recorded in order, and operands live until waited for.
TEST(MetaTransport, RecordsCallsAndHoldsOperands) {
  Trace trace;
  const Device meta = Device::meta(trace);
  const Group world = meta_group(trace, 3, 4, "world");
  const Group pair = world.split({0, 1, 0, 1}, "dp");
  EXPECT_EQ(pair.rank(), 1);
  EXPECT_EQ(pair.size(), 2);
  trace.events.clear();
  {
    Pending sum = pair->all_reduce(Tensor({6}, DType::f32, meta), ReduceOp::sum, "bucket.0");
    world->broadcast(Tensor({2}, DType::i32, meta), 1, "seed").wait();
    EXPECT_TRUE(sum.done());
    sum.wait();
  }
  std::string events;
  for (const TraceEvent& event : trace.events) {
    if (std::holds_alternative<AllocEvent>(event)) events += "+ ";
    if (std::holds_alternative<ReleaseEvent>(event)) events += "- ";
    if (const auto* comm = std::get_if<CommEvent>(&event))
      events += std::string(name_of(comm->kind)) + ":" + comm->name + ":" + comm->group + ":" +
                std::to_string(comm->count) + ":" + std::to_string(comm->peer) + ":" +
                std::to_string(comm->place) + "/" + std::to_string(comm->group_size) + "#" +
                std::to_string(comm->id) + " ";
    if (const auto* wait = std::get_if<WaitEvent>(&event))
      events += "wait#" + std::to_string(wait->id) + " ";
  }
  EXPECT_EQ(events,
            "+ all_reduce:bucket.0:dp:6:-1:1/2#1 + broadcast:seed:world:2:1:3/4#2 wait#2 - "
            "wait#1 - ");
}

}  // namespace
}  // namespace fusor
