#include "parallel/simulator.h"

#include <gtest/gtest.h>

#include <sstream>

namespace fusor {
namespace {

// Two ranks on one node, whose links have no latency and whose GPU takes 1 s for 1e12 flops.
Cluster two_ranks() {
  Cluster c;
  c.ranks_per_node = 2;
  c.bandwidth = 1e12;
  c.peak_f64 = c.peak_f32 = c.peak_bf16 = c.vector = 1e12;
  c.inside.bandwidth = c.between.bandwidth = 1e9;
  return c;
}

OpEvent work(double seconds) { return {"gemm", "", {.flops = seconds * 1e12}}; }

CommEvent call(std::uint64_t id, CommKind kind, double seconds, int place = 0, int peer = -1) {
  return {.id = id,
          .kind = kind,
          .name = "x",
          .scope = "",
          .group = "g",
          .group_size = 2,
          .place = place,
          .peer = peer,
          .dtype = DType::u8,
          .count = static_cast<std::int64_t>(seconds * 1e9),
          .op = ReduceOp::sum};
}

Job job_of(std::vector<std::vector<TraceEvent>> ranks) {
  Job job;
  for (std::vector<TraceEvent>& events : ranks) {
    job.script_of_rank.push_back(static_cast<int>(job.scripts.size()));
    job.scripts.push_back({.programs = {{"step", std::move(events)}}, .runs = {{0}}});
  }
  job.communicators = {{"g", {{0, 1}}}};
  return job;
}

TEST(Simulator, TellsWhatIsExposedHiddenAndWaitedFor) {
  // Rank 1 comes a second late to an all-reduce of 2 s, of which each rank hides half a second.
  std::vector<TraceEvent> late = {work(2), call(1, CommKind::all_reduce, 2), work(0.5),
                                  WaitEvent{1}};
  std::vector<TraceEvent> early = {work(1), call(1, CommKind::all_reduce, 2), work(0.5),
                                   WaitEvent{1}};
  const CostModel model(two_ranks(), DType::f32);
  const StepReport r = simulate(job_of({early, late}), model, {.tokens = 100, .flops = 1.6e12});
  EXPECT_DOUBLE_EQ(r.seconds, 4);
  EXPECT_DOUBLE_EQ(r.tokens_per_second(), 25);
  EXPECT_DOUBLE_EQ(r.mfu(), 0.2) << "1.6e12 / (4 s x 2 ranks x 1e12)";
  EXPECT_DOUBLE_EQ(r.compute, 4.0 / 8);
  EXPECT_DOUBLE_EQ(r.skew, 0.5 / 8) << "rank 0 computes for half of the second it is early";
  ASSERT_EQ(r.comms.size(), 1u);
  EXPECT_EQ(r.comms[0].what, "all_reduce over g");
  EXPECT_DOUBLE_EQ(r.comms[0].exposed, 3.5 / 8);
  EXPECT_DOUBLE_EQ(r.comms[0].hidden, 0.5 / 4);
  EXPECT_EQ(r.bubble, 0);
}

TEST(Simulator, WaitingForAnotherStageIsBubble) {
  std::vector<TraceEvent> first = {work(3), call(1, CommKind::send, 1, 0, 1), WaitEvent{1}};
  std::vector<TraceEvent> second = {call(1, CommKind::recv, 1, 1, 0), WaitEvent{1}, work(4)};
  const StepReport r =
      simulate(job_of({first, second}), CostModel(two_ranks(), DType::f32), {1, 1});
  EXPECT_DOUBLE_EQ(r.seconds, 8);
  EXPECT_DOUBLE_EQ(r.bubble, (4 + 3) / 16.0) << "rank 0 is done early, rank 1 begins late";
}

TEST(Simulator, AHostRunsAheadAndIsWaitedForWhereItIsLate) {
  Cluster c = two_ranks();
  c.launch = 1;
  const auto seconds = [&](std::vector<TraceEvent> events) {
    return simulate(job_of({events, events}), CostModel(c, DType::f32), {1, 1});
  };
  EXPECT_DOUBLE_EQ(seconds({work(5), work(0.1), work(0.1)}).seconds, 5.2);
  const StepReport slow = seconds({work(0.1), work(0.1), work(0.1)});
  EXPECT_DOUBLE_EQ(slow.seconds, 3);
  EXPECT_DOUBLE_EQ(slow.launch, 0.9);
  // After a collective the host is still ahead; after a transfer it is not.
  const auto all = call(1, CommKind::all_reduce, 3);
  EXPECT_DOUBLE_EQ(seconds({all, WaitEvent{1}, work(0.5), work(0.5)}).seconds, 4);
  const auto sent = call(1, CommKind::send, 3, 0, 1), received = call(1, CommKind::recv, 3, 1, 0);
  const Job job = job_of({{sent, WaitEvent{1}}, {received, WaitEvent{1}, work(0.5), work(0.5)}});
  EXPECT_DOUBLE_EQ(simulate(job, CostModel(c, DType::f32), {1, 1}).seconds, 5);
}

TEST(Simulator, ReportsForPeople) {
  std::ostringstream text;
  text << simulate(job_of({{work(1)}, {work(1)}}), CostModel(two_ranks(), DType::f32), {50, 1e12});
  EXPECT_NE(text.str().find("step 1 s: 50 tokens/s"), std::string::npos) << text.str();
  EXPECT_NE(text.str().find("MFU 50 % ="), std::string::npos) << text.str();
  EXPECT_NE(text.str().find("operators                            100.00 %"), std::string::npos)
      << text.str();
}

}  // namespace
}  // namespace fusor
