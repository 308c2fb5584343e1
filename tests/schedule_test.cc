#include "parallel/schedule.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <utility>

#include "parallel/schedule_builder.h"
#include "parallel/schedule_timeline.h"
#include "thrown_by.h"

namespace fusor {
namespace {

using testing::DoubleNear;
using testing::Each;
using testing::HasSubstr;

Schedule of_chain(ScheduleKind kind, int ranks, int each, int micros) {
  return make_schedule(kind, StageGraph::chain(ranks * each), ranks, micros);
}

Timeline unit_time(const Schedule& schedule) {
  return timeline_of(schedule, StageGraph::chain(schedule.num_stages()),
                     StageCosts::unit(schedule));
}

struct Size {
  int ranks, each, micros;
};
std::vector<Size> sizes(int each) {
  std::vector<Size> all;
  for (int ranks = 1; ranks <= 8; ++ranks)
    for (int micros : {1, 2, 3, 4, 6, 8, 12, 16, 24, 40}) all.push_back({ranks, each, micros});
  return all;
}
std::string trace(const Size& size, const Schedule& schedule) {
  return std::to_string(size.ranks) + " ranks, " + std::to_string(size.micros) +
         " micro-batches\n" + to_text(schedule);
}

// The order of a rank by the book: `warmup` forwards, then one forward, one backward, in turn.
std::vector<Entry> alternate(const std::vector<Entry>& forwards,
                             const std::vector<Entry>& backwards, int warmup) {
  std::vector<Entry> entries;
  const int count = static_cast<int>(forwards.size());
  for (int i = 0; i < std::min(warmup, count); ++i) entries.push_back(forwards[i]);
  for (int i = 0; i < count; ++i) {
    if (i + warmup < count) entries.push_back(forwards[i + warmup]);
    entries.push_back(backwards[i]);
  }
  return entries;
}

TEST(Schedule, OneForwardOneBackwardIsTheClassicOrder) {
  for (const Size& size : sizes(1)) {
    const Schedule schedule = of_chain(ScheduleKind::one_f_one_b, size.ranks, 1, size.micros);
    SCOPED_TRACE(trace(size, schedule));
    for (int rank = 0; rank < size.ranks; ++rank) {
      std::vector<Entry> forwards, backwards;
      for (int i = 0; i < size.micros; ++i) {
        forwards.push_back({Phase::forward, rank, i});
        backwards.push_back({Phase::backward, rank, i});
      }
      EXPECT_EQ(schedule.ranks[rank], alternate(forwards, backwards, size.ranks - rank - 1));
    }
  }
}

// Micro-batches go through a rank's stages in groups of p.
TEST(Schedule, InterleavedIsMegatronsOrder) {
  for (int each : {2, 3, 4})
    for (const Size& size : sizes(each)) {
      if (size.micros % size.ranks != 0) continue;
      const Schedule schedule = of_chain(ScheduleKind::interleaved, size.ranks, each, size.micros);
      SCOPED_TRACE(trace(size, schedule));
      for (int rank = 0; rank < size.ranks; ++rank) {
        std::vector<Entry> forwards, backwards;
        for (int first = 0; first < size.micros; first += size.ranks)
          for (int chunk = 0; chunk < each; ++chunk)
            for (int i = first; i < first + size.ranks; ++i) {
              forwards.push_back({Phase::forward, chunk * size.ranks + rank, i});
              backwards.push_back({Phase::backward, (each - 1 - chunk) * size.ranks + rank, i});
            }
        const int warmup = (size.ranks - rank - 1) * 2 + (each - 1) * size.ranks;
        EXPECT_EQ(schedule.ranks[rank], alternate(forwards, backwards, warmup));
      }
    }
}

TEST(Schedule, BubblesAreThePublishedOnes) {
  for (const Size& size : sizes(1)) {
    const double p = size.ranks, m = size.micros, share = (p - 1) / (m + p - 1);
    for (ScheduleKind kind : {ScheduleKind::gpipe, ScheduleKind::one_f_one_b}) {
      const Schedule schedule = of_chain(kind, size.ranks, 1, size.micros);
      SCOPED_TRACE(trace(size, schedule));
      EXPECT_THAT(unit_time(schedule).bubble, Each(DoubleNear(share, 1e-12)));
    }
    if (size.micros < size.ranks) continue;
    // ZB-H1 waits p - 1 units where 1F1B waits 3 (p - 1).
    const Schedule h1 = of_chain(ScheduleKind::zero_bubble, size.ranks, 1, size.micros);
    SCOPED_TRACE(trace(size, h1));
    EXPECT_EQ(unit_time(h1).makespan, 3 * m + (p - 1));
    if (size.micros < 2 * size.ranks) continue;
    // ZB-V waits p - 1 units of half a stage: for the first and the last micro-batch to pass.
    const Schedule v = of_chain(ScheduleKind::zero_bubble_v, size.ranks, 2, size.micros);
    SCOPED_TRACE(trace(size, v));
    EXPECT_EQ(unit_time(v).makespan, 6 * m + (p - 1));
  }
  for (int each : {2, 3, 4})
    for (const Size& size : sizes(each)) {
      if (size.micros < size.ranks) continue;
      const double p = size.ranks, m = size.micros, v = each;
      const Schedule schedule = of_chain(ScheduleKind::interleaved, size.ranks, each, size.micros);
      SCOPED_TRACE(trace(size, schedule));
      EXPECT_THAT(unit_time(schedule).bubble, Each(DoubleNear((p - 1) / (v * m + p - 1), 1e-12)));
    }
}

TEST(Schedule, MicroBatchesHeldAreThePublishedOnes) {
  for (const Size& size : sizes(1)) {
    const int p = size.ranks, m = size.micros;
    const Timeline gpipe = unit_time(of_chain(ScheduleKind::gpipe, p, 1, m));
    const Timeline plain = unit_time(of_chain(ScheduleKind::one_f_one_b, p, 1, m));
    const Timeline h1 = unit_time(of_chain(ScheduleKind::zero_bubble, p, 1, m));
    const Timeline v = unit_time(of_chain(ScheduleKind::zero_bubble_v, p, 2, m));
    for (int rank = 0; rank < p; ++rank) {
      EXPECT_EQ(gpipe.held[rank], m);
      EXPECT_EQ(plain.held[rank], std::min(m, p - rank));
      EXPECT_LE(h1.held[rank], std::min(m, p));
      EXPECT_LE(v.held_by_rank[rank], std::min(2 * m, 2 * p));
    }
    EXPECT_EQ(h1.held[0], plain.held[0]);
  }
  for (int each : {2, 3, 4})
    for (const Size& size : sizes(each)) {
      const int p = size.ranks, m = size.micros;
      const Timeline line = unit_time(of_chain(ScheduleKind::interleaved, p, each, m));
      for (int rank = 0; rank < p; ++rank) {
        const int round = (m + std::max(1, m / p) - 1) / std::max(1, m / p);  // p if it divides m
        const int megatron = std::min(each * m, 2 * (p - rank - 1) + (each - 1) * round + 1);
        EXPECT_EQ(line.held_by_rank[rank], megatron) << rank << " of " << trace(size, {});
      }
    }
}

TEST(Schedule, ZeroBubbleVLiesInVShape) {
  EXPECT_EQ(place_stages(ScheduleKind::zero_bubble_v, 6, 3), (std::vector<int>{0, 1, 2, 2, 1, 0}));
  EXPECT_EQ(place_stages(ScheduleKind::interleaved, 6, 3), (std::vector<int>{0, 1, 2, 0, 1, 2}));
}

TEST(Schedule, ReadsItsOwnText) {
  const Schedule schedule = of_chain(ScheduleKind::zero_bubble, 2, 1, 2);
  EXPECT_EQ(to_text(schedule), "F0.0 F0.1 B0.0 W0.0 B0.1 W0.1\nF1.0 B1.0 F1.1 B1.1 W1.0 W1.1\n");
  EXPECT_EQ(parse_schedule(to_text(schedule)), schedule);
  for (const char* word : {"X0.1", "F0", "F.1", "F0.", "F0.1x", "F-1.0", "F0.-1", "F99999999999.0"})
    EXPECT_EQ(thrown_by([&] { parse_schedule(word); }),
              "line 1 of a schedule has \"" + std::string(word) +
                  "\"; its words are like F0.3: F, B or W, the stage, the micro-batch");
  EXPECT_EQ(thrown_by([] { parse_schedule("F0.0 B0.0\nF2.0 B2.0"); }),
            "stage 1 of a schedule has no entry");
  EXPECT_EQ(thrown_by([] { parse_schedule("F0.0\nB0.0"); }),
            "stage 0 of a schedule stands in lines 1 and 2; a stage lies on one rank");
}

TEST(Schedule, PrintsAGrid) {
  const Schedule schedule = of_chain(ScheduleKind::one_f_one_b, 2, 1, 2);
  EXPECT_EQ(to_grid(schedule, StageGraph::chain(2)),
            "rank 0  F0 F1 .  .  B0 B0 .  B1 B1\n"
            "rank 1  .  F0 B0 B0 F1 B1 B1 .  .\n");
}

TEST(Schedule, CheckNamesTheEntry) {
  const auto refusal = [](const char* text) {
    const Schedule schedule = parse_schedule(text);
    return thrown_by([&] { check(schedule, StageGraph::chain(2)); });
  };
  EXPECT_EQ(refusal("F0.0 F0.1 B0.0 B0.1\nF1.0 B1.0 F1.1 B1.1"), "no error");
  EXPECT_EQ(refusal("F0.0 F0.1 B0.0\nF1.0 B1.0 F1.1 B1.1"), "rank 0 lacks B0.1");
  EXPECT_EQ(refusal("F0.0 F0.1 B0.0 B0.0 B0.1\nF1.0 B1.0 F1.1 B1.1"),
            "rank 0 has B0.0 twice, or after B0.0");
  EXPECT_EQ(refusal("F0.0 F0.1 B0.1 B0.0\nF1.0 F1.1 B1.0 B1.1"),
            "rank 0 has B0.1 where B0.0 is due: micro-batches come in order");
  EXPECT_EQ(refusal("F0.0 F0.1 B0.0 B0.1\nF1.1 B1.1 F1.0 B1.0"),
            "rank 1 has F1.1 where F1.0 is due: micro-batches come in order");
  EXPECT_EQ(refusal("F0.0 B0.0 F0.1 B0.1\nF1.0 F1.1 B1.0 B1.1"),
            "rank 0 would wait for ever at B0.0 for B1.0 of rank 1");
  EXPECT_EQ(refusal("F0.0 B0.0 W0.0\nB1.0 F1.0 W1.0"),
            "rank 0 would wait for ever at B0.0 for B1.0 of rank 1");
  EXPECT_EQ(refusal("F0.0 W0.0 B0.0\nF1.0 B1.0 W1.0"),
            "rank 0 would wait for ever at W0.0 for B0.0 of rank 0");
  EXPECT_EQ(refusal("F0.0 B0.0 W0.0\nF1.0 B1.0"), "rank 1 lacks W1.0");
  EXPECT_EQ(refusal("F0.0 B0.0"), "a schedule of 1 stages for a model of 2");

  Schedule moved = parse_schedule("F0.0 B0.0\nF1.0 B1.0");
  std::swap(moved.rank_of[0], moved.rank_of[1]);
  EXPECT_EQ(thrown_by([&] { check(moved, StageGraph::chain(2)); }),
            "F0.0 stands on rank 0, but stage 0 lies on rank 1");
  EXPECT_EQ(thrown_by([&] {
              check(moved, StageGraph{{{}, {1}}});
            }),
            "stage 1 reads stage 1; the stages read come before it, each once, in ascending order");
}

// A sound and an image encoder, of one and of two stages, feed a trunk of two.
TEST(Schedule, BranchesHoldWhatTheirWayToTheEndAsks) {
  const StageGraph graph{{{}, {}, {1}, {0, 2}, {3}}};
  EXPECT_EQ(graph.depths(), (std::vector<int>{3, 4, 3, 2, 1}));
  const Schedule apart =
      make_schedule(ScheduleKind::one_f_one_b, graph, {0, 1, 2, 3, 4}, /*ranks=*/5, /*micros=*/8);
  check(apart, graph);
  const Timeline line = timeline_of(apart, graph, StageCosts::unit(apart));
  EXPECT_EQ(line.held, (std::vector<int>{3, 4, 3, 2, 1}));
  EXPECT_EQ(line.makespan, 3 * (8 + 3));  // that of the longest path alone

  const Schedule together =
      make_schedule(ScheduleKind::one_f_one_b, graph, {0, 0, 1, 2, 3}, /*ranks=*/4, /*micros=*/8);
  check(together, graph);
  EXPECT_EQ(timeline_of(together, graph, StageCosts::unit(together)).held,
            (std::vector<int>{3, 4, 3, 2, 1}));
}

TEST(Schedule, PlacementsAreCheckedByKind) {
  const auto refusal = [](ScheduleKind kind, int stages, int ranks) {
    return thrown_by([&] { place_stages(kind, stages, ranks); });
  };
  EXPECT_EQ(refusal(ScheduleKind::gpipe, 5, 2),
            "5 stages do not split evenly over 2 pipeline ranks");
  EXPECT_EQ(refusal(ScheduleKind::one_f_one_b, 4, 2),
            "parallel.schedule 1f1b takes parallel.stages 1 on each rank, not 2");
  EXPECT_EQ(refusal(ScheduleKind::interleaved, 2, 2),
            "parallel.schedule interleaved takes parallel.stages 2 or more on each rank, not 1");
  EXPECT_EQ(refusal(ScheduleKind::zero_bubble_v, 6, 2),
            "parallel.schedule zb_v takes parallel.stages 2 on each rank, not 3");
  EXPECT_EQ(thrown_by([] {
              make_schedule(ScheduleKind::gpipe, StageGraph::chain(2), {0, 0}, 2, 1);
            }),
            "gpipe: rank 1 of 2 holds no stage");
}

TEST(Schedule, PlaysWithCostsAndTransfers) {
  const StageGraph graph = StageGraph::chain(2);
  const Schedule schedule = of_chain(ScheduleKind::one_f_one_b, 2, 1, 1);
  const Timeline line =
      timeline_of(schedule, graph,
                  {.forward = {1, 2}, .backward = {4, 8}, .weight = {}, .transfer = {{}, {0.5}}});
  EXPECT_EQ(line.makespan, 1 + 0.5 + 2 + 8 + 0.5 + 4);
  EXPECT_EQ(line.spans[1][0].begin, 1.5);
  EXPECT_EQ(line.bubble[0], 1 - 5 / 16.0);

  // Between stages of one rank nothing is transferred.
  const Schedule local = of_chain(ScheduleKind::interleaved, 1, 2, 1);
  EXPECT_EQ(timeline_of(local, graph, {{1, 2}, {4, 8}, {}, {{}, {0.5}}}).makespan, 15);
  EXPECT_THROW(timeline_of(schedule, graph, {{1}, {4, 8}, {}}), Error);
  EXPECT_THROW(timeline_of(schedule, graph, {{1, 2}, {4, 8}, {}, {{}, {}}}), Error);
}

// No two micro-batches that are alive at once share a lane.
TEST(Schedule, LanesAreEnough) {
  for (ScheduleKind kind : {ScheduleKind::interleaved, ScheduleKind::zero_bubble_v}) {
    const Schedule schedule = of_chain(kind, 4, 2, 11);
    for (int stage = 0; stage < schedule.num_stages(); ++stage) {
      const int lanes = num_lanes(schedule, stage);
      std::vector<int> owner(lanes, -1);
      for (const Entry& e : schedule.ranks[schedule.rank_of[stage]]) {
        if (e.stage != stage) continue;
        int& lane = owner[e.micro % lanes];
        if (e.phase == Phase::forward) {
          EXPECT_EQ(std::exchange(lane, e.micro), -1) << name_of(e);
        }
        if (e.phase == (schedule.split ? Phase::weight : Phase::backward)) lane = -1;
      }
    }
  }
}

}  // namespace
}  // namespace fusor
