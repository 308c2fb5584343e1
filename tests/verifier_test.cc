// Valid jobs pass the verifier; jobs that are broken in one spot do not, and the message names it.
#include "parallel/verifier.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

#include "parallel/comm_plan.h"
#include "runtime/error.h"
#include "runtime/threads_transport.h"
#include "runtime/world.h"
#include "tests/breakages.h"
#include "tests/jobs.h"
#include "tests/scheduled_job.h"
#include "tests/thrown_by.h"

namespace fusor::testing {
namespace {

using ::testing::HasSubstr;

TEST(Verifier, RefusesNoValidJob) {
  for (int n = 1; n <= 8; ++n) {
    EXPECT_EQ(failure_of(data_parallel_job(n)), "") << n;
    EXPECT_EQ(failure_of(ring_job(n)), "") << n;
    if (n == 1) continue;
    EXPECT_EQ(failure_of(tensor_parallel_job(n, 8 / n)), "") << n;
    EXPECT_EQ(failure_of(sharded_job(n)), "") << n;
  }
  for (int pp = 1; pp <= 5; ++pp)
    for (int micros = 1; micros <= 6; ++micros)
      for (int dp = 1; dp <= 2; ++dp)
        for (int tp = 1; tp <= 2; ++tp)
          EXPECT_EQ(failure_of(pipeline_job(pp, micros, dp, tp)), "")
              << pp << ' ' << micros << ' ' << dp << ' ' << tp;
}

std::vector<std::pair<std::string, Job>> scheduled_jobs(int pp, int micros, int tp) {
  std::vector<std::pair<std::string, Job>> jobs;
  for (const ScheduleKind kind :
       {ScheduleKind::gpipe, ScheduleKind::one_f_one_b, ScheduleKind::interleaved,
        ScheduleKind::zero_bubble, ScheduleKind::zero_bubble_v}) {
    const bool several = kind == ScheduleKind::interleaved || kind == ScheduleKind::zero_bubble_v;
    const StageGraph chain = StageGraph::chain(several ? 2 * pp : pp);
    jobs.emplace_back(name_of(kind), scheduled_job(make_schedule(kind, chain, pp, micros), chain,
                                                   {.tp = tp, .pp = pp}));
  }
  return jobs;
}

// A graph in which each stage reads one or two of those before it, and all are read.
StageGraph branching(int stages, std::mt19937& random) {
  StageGraph graph{.inputs = {{}}};
  for (int stage = 1; stage < stages; ++stage) {
    std::set<int> inputs = {stage - 1};
    if (random() % 3 == 0) inputs.insert(static_cast<int>(random() % static_cast<unsigned>(stage)));
    graph.inputs.emplace_back(inputs.begin(), inputs.end());
  }
  return graph;
}

TEST(Verifier, Passes500RandomSchedules) {
  std::mt19937 random(1);
  for (int i = 0; i < 500; ++i) {
    const auto kind = static_cast<ScheduleKind>(random() % 5);
    const int pp = 2 + static_cast<int>(random() % 4), micros = 1 + static_cast<int>(random() % 10);
    const bool several = kind == ScheduleKind::interleaved || kind == ScheduleKind::zero_bubble_v;
    const StageGraph graph = branching(several ? 2 * pp : pp, random);
    const MeshShape shape{.dp = 1 + static_cast<int>(random() % 2),
                          .tp = 1 + static_cast<int>(random() % 2),
                          .pp = pp};
    const Schedule schedule = make_schedule(kind, graph, pp, micros);
    EXPECT_EQ(failure_of(scheduled_job(schedule, graph, shape)), "")
        << name_of(kind) << ' ' << pp << ' ' << micros << '\n'
        << to_text(schedule);
  }
}

TEST(Verifier, TellsThePeakAndRefusesWhatDoesNotFit) {
  const Verified found = verify(pipeline_job(4, 6, 2));
  EXPECT_EQ(found.ranks, 8);
  EXPECT_EQ(found.colors, 4);
  // Stage 1 in F of the last micro-batch: its weights, x and y of two micro-batches and x of this
  // one, dx of the three that have been sent, and a layer's matter.
  EXPECT_EQ(found.fullest, 2);
  EXPECT_EQ(found.peak, (1 + 2 * 2 + 1 + 3 + 2) * 64 * sizeof(float));
  EXPECT_EQ(failure_of(pipeline_job(4, 6, 2), found.peak), "");
  EXPECT_THAT(failure_of(pipeline_job(4, 6, 2), found.peak - 1),
              HasSubstr("rank 2 (and 1 like it) needs 2816 bytes (2.75 KiB), "
                        "fullest in F of micro-batch 5"));
  Job planned = pipeline_job(4, 6);
  planned.scripts[2].arena = 1000;
  EXPECT_THAT(failure_of(planned), HasSubstr("rank 2 has "));
  EXPECT_THAT(failure_of(planned), HasSubstr("more than its plan of 1000"));
}

TEST(Verifier, PrintsTheCycle) {
  // Ranks 1 and 2 wait for their gradients before they give their tp partner what it waits for.
  Job job = tensor_parallel_job(2, 2);
  for (const std::size_t rank : {1, 2}) {
    std::vector<TraceEvent>& events = job.scripts[rank].programs[0].events;
    const auto call = [&](const char* name) {
      return std::ranges::find_if(events, [name](const TraceEvent& e) {
        const auto* c = std::get_if<CommEvent>(&e);
        return c && c->name == name;
      });
    };
    const auto gradients = call("gradients"), sum = call("cross_entropy/sum");
    std::swap(*gradients, *sum);
    std::swap(*(gradients + 1), *(sum + 1));  // their waits
  }
  EXPECT_EQ(failure_of(job),
            "ranks wait for each other in a cycle: rank 0 (and 1 like it) waits in all_reduce "
            "\"cross_entropy/sum\" of 16 f32 over tp for rank 1; rank 1 (and 1 like it) waits in "
            "all_reduce \"gradients\" of 64 f32 over data for rank 3; rank 3 (and 1 like it) waits "
            "in all_reduce \"cross_entropy/sum\" of 16 f32 over tp for rank 2; rank 2 (and 1 like "
            "it) waits in all_reduce \"gradients\" of 64 f32 over data for rank 0");
}

TEST(Verifier, RanksCompareWhatTheyPlannedForAll) {
  const std::string plan = planned_collectives(pipeline_job(2, 2));
  EXPECT_THAT(plan, HasSubstr("ranks 0\n"));
  EXPECT_THAT(plan, HasSubstr("program send.F\n1 send pp f32 64 activation peer +1\n"));
  EXPECT_THAT(plan, HasSubstr("run in F of micro-batch 1\n"));
  EXPECT_THAT(planned_collectives(pipeline_job(2, 2, 2)), HasSubstr("ranks 3\n"));
  run_ranks(3, [&](World& world) { require_same_collectives(world.group(), plan); });
  try {
    run_ranks(3, [&](World& world) {
      require_same_collectives(world.group(),
                               planned_collectives(pipeline_job(2, world.rank() == 2 ? 1 : 2)));
    });
    FAIL();
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), HasSubstr("ranks 0 and 2 would wait for each other"));
    EXPECT_THAT(e.what(), HasSubstr("rank 0 has 'run in F of micro-batch 1' and rank 2 has "
                                    "'run in receive.B of micro-batch 0'"));
  }
}

TEST(Verifier, RanksDoTheirParts) {
  Job job = ring_job(4);
  const Script of_rank_2 = job.scripts[2];
  job.script_of_rank = {0, 0, 0, 0};
  require_part(job, 2, of_rank_2);  // it stands at another place of the same ring
  job.scripts[0] = ring_job(3).scripts[0];
  EXPECT_EQ(
      thrown_by([&] { require_part(job, 2, of_rank_2); }),
      "rank 2 does not do its part: in line 3 of their plans its rehearsal has '2 recv cp f32 "
      "64 block.0/kv.1 peer +3' and the job has '2 recv cp f32 64 block.0/kv.1 peer +2'");
}

TEST(Verifier, CatchesEveryBreakageAndNamesTheSpot) {
  const std::vector<std::pair<const char*, Job>> jobs = {
      {"dp 4", data_parallel_job(4)}, {"tp 2, dp 2", tensor_parallel_job(2, 2)},
      {"pp 4", pipeline_job(4, 6)},   {"pp 2, dp 2, tp 2", pipeline_job(2, 4, 2, 2)},
      {"cp 4", ring_job(4)},          {"zero, dp 4", sharded_job(4)},
  };
  int broken = 0;
  for (const auto& [name, job] : jobs) broken += expect_breakages_caught(name, job, 8);
  for (const auto& [name, job] : scheduled_jobs(4, 8, 1))
    broken += expect_breakages_caught(name, job, 4);
  EXPECT_GE(broken, 500);
}

}  // namespace
}  // namespace fusor::testing
