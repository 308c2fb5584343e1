// The engine that plays the scripts of all ranks: times, colors, and what it says of jobs that
// cannot go on.
#include "parallel/play.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>

#include "parallel/schedule_timeline.h"
#include "runtime/error.h"
#include "tests/jobs.h"
#include "tests/scheduled_job.h"

namespace fusor::testing {
namespace {

using ::testing::HasSubstr;

// A second a flop, and a second a call unless told otherwise.
struct UnitClock final : Clock {
  explicit UnitClock(double comm = 0) : comm(comm) {}
  double op_seconds(const OpEvent& e) override { return e.cost.flops; }
  double comm_seconds(const CommEvent& e, std::span<const int> ranks) override {
    EXPECT_TRUE(e.kind != CommKind::send || ranks.size() == 2u);
    return comm;
  }
  double comm;
};

TEST(Play, RanksThatDoTheSameAreOne) {
  const auto colors = [](const Job& job) { return color_ranks(job).first.size(); };
  EXPECT_EQ(colors(data_parallel_job(8)), 2u);  // the broadcast has a root
  EXPECT_EQ(colors(tensor_parallel_job(2, 4)), 1u);
  EXPECT_EQ(colors(ring_job(5)), 1u);
  EXPECT_EQ(colors(pipeline_job(4, 6, 2, 2)), 4u);
  const Likeness by_node = [](std::span<const int> ranks) {
    return static_cast<std::uint64_t>(ranks.front() / 4 == ranks.back() / 4);
  };
  EXPECT_EQ(color_ranks(tensor_parallel_job(2, 4), by_node).first.size(), 1u);
  EXPECT_EQ(color_ranks(ring_job(8), by_node).first.size(), 4u);  // two nodes alike
}

// Narayanan et al. 2021, "Efficient Large-Scale Language Model Training on GPU Clusters", section
// 2.2: the bubble of 1F1B is (p - 1) (f + b).
TEST(Play, OneForwardOneBackwardHasItsBubble) {
  for (const int pp : {1, 2, 3, 4})
    for (const int micros : {4, 7}) {
      UnitClock clock;
      const Played played = play(pipeline_job(pp, micros), &clock);
      const double each = 3 * (1 + 2), update = 2;
      EXPECT_DOUBLE_EQ(played.seconds, (micros + pp - 1) * each + update) << pp << ' ' << micros;
      for (const PlayedRank& rank : played.ranks) {
        double idle = 0;
        for (const PlayedComm& comm : rank.comms) idle += comm.skew + comm.exposed;
        EXPECT_DOUBLE_EQ(rank.compute, micros * each + update);
        EXPECT_DOUBLE_EQ(idle, (pp - 1) * each);
      }
    }
}

// What the rules of a play make of a schedule, messages and waits included, is what it takes by its
// entries alone, and these are the published bubbles (schedule_test).
TEST(Play, SchedulesTakeTheirTime) {
  for (const ScheduleKind kind :
       {ScheduleKind::gpipe, ScheduleKind::one_f_one_b, ScheduleKind::interleaved,
        ScheduleKind::zero_bubble, ScheduleKind::zero_bubble_v})
    for (const int pp : {2, 4}) {
      const bool several = kind == ScheduleKind::interleaved || kind == ScheduleKind::zero_bubble_v;
      const StageGraph chain = StageGraph::chain(several ? 2 * pp : pp);
      const Schedule schedule = make_schedule(kind, chain, pp, 12);
      UnitClock clock;
      const Played played = play(scheduled_job(schedule, chain, {.pp = pp}), &clock);
      const Timeline timeline = timeline_of(schedule, chain, StageCosts::unit(schedule));
      EXPECT_DOUBLE_EQ(played.seconds, timeline.makespan) << name_of(kind) << ' ' << pp;
    }
}

// Three buckets of five seconds leave a second apart, one after the other, from second 4.
TEST(Play, WhatIsNotHiddenIsExposed) {
  UnitClock clock(5);
  const Played played = play(data_parallel_job(2), &clock, {.timeline = true});
  const PlayedRank& rank = played.ranks[0];
  EXPECT_EQ(rank.comms[0].group, "data");
  EXPECT_EQ(rank.comms[0].calls, 3);
  EXPECT_DOUBLE_EQ(rank.comms[0].bytes, 4 * (64 + 63 + 62));
  EXPECT_DOUBLE_EQ(rank.comms[0].seconds, 15);
  EXPECT_DOUBLE_EQ(rank.comms[0].exposed, 13 - 0);
  EXPECT_DOUBLE_EQ(rank.compute, 8);
  double waits = 0, comms = 0, ops = 0;
  for (const PlayedSpan& span : rank.timeline) {
    double& sum = span.kind == PlayedSpan::Kind::op     ? ops
                  : span.kind == PlayedSpan::Kind::comm ? comms
                                                        : waits;
    sum += span.end - span.begin;
  }
  EXPECT_DOUBLE_EQ(ops, 8);
  EXPECT_DOUBLE_EQ(comms, 15 + 3 * 5);
  EXPECT_DOUBLE_EQ(ops + waits, rank.seconds);
}

std::string failure_of(const Job& job) {
  try {
    play(job);
  } catch (const Error& e) {
    return e.what();
  }
  return "no failure";
}

TEST(Play, SendsThatWaitForEachOtherAreACycle) {
  EXPECT_EQ(failure_of(pipeline_job(3, 4, 2)), "no failure");
  const std::string text = failure_of(pipeline_job(3, 4, 2, 1, true));
  EXPECT_THAT(text, HasSubstr("ranks wait for each other in a cycle: rank 2 (and 1 like it) "
                              "waits in send \"activation\" of 64 f32 in send.F of micro-batch 1 "
                              "over pp for rank 4; rank 4"));
  EXPECT_THAT(text, HasSubstr("it would go on only where sends are buffered"));
}

TEST(Play, NamesRanksThatAreInNoGroup) {
  Job job = data_parallel_job(2);
  std::ranges::find(job.communicators, "data", &Communicator::name)->groups = {{0}, {1}};
  EXPECT_EQ(failure_of(job),
            "rank 0 plans all_reduce \"gradients/bucket.0\" over data of 2 ranks, but its group "
            "has 1");
}

// 16,384 ranks cost what their colors do.
TEST(Play, TenThousandRanksAndFourMillionEvents) {
  const Job small = pipeline_job(8, 10000, 2, 2);
  const MeshShape shape{.dp = 256, .tp = 8, .pp = 8};
  Job job{.scripts = small.scripts, .script_of_rank = {}, .communicators = communicators_of(shape)};
  for (Script& script : job.scripts)
    for (TraceProgram& program : script.programs) {
      for (TraceEvent& event : program.events)
        if (auto* call = std::get_if<CommEvent>(&event); call && call->group != "pp")
          call->group_size = call->group == "tp" ? 8 : call->group == "data" ? 256 : shape.size();
    }
  for (int rank = 0; rank < shape.size(); ++rank)
    job.script_of_rank.push_back(place_of(shape, rank).pp * 4);
  UnitClock clock(0.01);
  const auto begin = std::chrono::steady_clock::now();
  const Played played = play(job, &clock);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  EXPECT_EQ(played.ranks.size(), 8u);
  std::size_t events = 0;
  for (const PlayedRank& rank : played.ranks) {
    const Script& script = job.scripts[static_cast<std::size_t>(
        job.script_of_rank[static_cast<std::size_t>(rank.rank)])];
    for (const ProgramRun& run : script.runs)
      events += script.programs[static_cast<std::size_t>(run.program)].events.size();
  }
  EXPECT_GT(events, 4'000'000u);
  EXPECT_LT(took.count(), 10) << "seconds; about one is expected";
  RecordProperty("milliseconds", static_cast<int>(took.count() * 1e3));
}

}  // namespace
}  // namespace fusor::testing
