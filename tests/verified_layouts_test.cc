// Training runs, rehearsed on every rank of layouts of all kinds, pass the verifier; broken ones do
// not.
#include <gtest/gtest.h>

#include <random>

#include "launch/rehearsal.h"
#include "parallel/comm_plan.h"
#include "parallel/verifier.h"
#include "tests/breakages.h"

namespace fusor::testing {
namespace {

Config tiny() {
  Config c;
  c.model = {.vocab_size = 24, .seq_len = 8, .layers = 6, .width = 16, .heads = 4};
  c.model.dropout = 0.1;
  c.model = resolve(c.model);
  c.data.seq_len = 8;
  c.train.global_batch = 16, c.train.micro_batch = 1, c.train.steps = 4;
  c.train.eval_every = 2;
  return c;
}

int ranks_of(const Config& config) {
  const ParallelConfig& p = config.parallel;
  return static_cast<int>(p.dp * p.tp * p.cp * p.pp);
}

std::string text_of(const Config& config) {
  const ParallelConfig& p = config.parallel;
  std::ostringstream text;
  text << "dp " << p.dp << " tp " << p.tp << " cp " << p.cp << " pp " << p.pp << " stages "
       << p.stages << " ep " << p.ep << ' ' << name_of(p.schedule) << " zero " << p.zero
       << " sequence " << p.sequence << " exact " << (p.reduce == Reduce::exact) << " recompute "
       << static_cast<int>(p.recompute);
  return text.str();
}

Job job_of(const Config& config) {
  const RunSize size = run_size(config, ranks_of(config));
  Job job{.scripts = {}, .script_of_rank = {}, .communicators = communicators_of(size.mesh)};
  for (int rank = 0; rank < size.mesh.size(); ++rank) {
    const Rehearsal rehearsal = rehearse(config, size, rank);
    job.script_of_rank.push_back(rank);
    job.scripts.push_back(script_of(rehearsal.trace));
    job.scripts.back().arena = rehearsal.memory.bytes;
  }
  return job;
}

// A layout of at most 8 ranks.
Config random_layout(std::mt19937& random) {
  const auto one_of = [&](std::initializer_list<int> values) {
    return values.begin()[random() % values.size()];
  };
  for (;;) {
    Config c = tiny();
    ParallelConfig& p = c.parallel;
    p.dp = one_of({1, 2, 4}), p.tp = one_of({1, 1, 2}), p.cp = one_of({1, 1, 2});
    p.pp = one_of({1, 2, 3, 4});
    if (ranks_of(c) > 8) continue;
    if (random() % 4 == 0) {
      c.model.experts = 4;
      c.model = resolve(c.model);
      p.ep = p.dp > 1 ? one_of({1, 2}) : 1;
    }
    p.schedule = static_cast<ScheduleKind>(random() % 5);
    const bool several =
        p.schedule == ScheduleKind::interleaved || p.schedule == ScheduleKind::zero_bubble_v;
    p.stages = several && p.pp < 4 ? 2 : 1;
    if (several && p.stages == 1) continue;
    p.sequence = random() % 2;
    p.zero = one_of({0, 1, 2, 3});
    p.reduce = random() % 2 ? Reduce::exact : Reduce::fast;
    p.recompute = static_cast<Recompute>(random() % 3);
    c.train.global_batch = p.dp * one_of({1, 2, 4, 7});
    return c;
  }
}

TEST(VerifiedLayouts, RandomOnesPass) {
  std::mt19937 random(1);
  for (int i = 0; i < 200; ++i) {
    const Config config = random_layout(random);
    SCOPED_TRACE(text_of(config));
    EXPECT_EQ(failure_of(job_of(config)), "");
  }
}

// One rehearsal a pipeline place tells what all ranks do.
TEST(VerifiedLayouts, RanksOfAPipelinePlaceMakeTheSameCalls) {
  std::mt19937 random(3);
  for (int i = 0; i < 50; ++i) {
    const Config config = random_layout(random);
    SCOPED_TRACE(text_of(config));
    const Job all = job_of(config);
    Job job = all;
    const MeshShape mesh = run_size(config, ranks_of(config)).mesh;
    for (int rank = 0; rank < job.size(); ++rank)
      job.script_of_rank[static_cast<std::size_t>(rank)] =
          rank_at(mesh, {.pp = place_of(mesh, rank).pp});
    for (int rank = 0; rank < job.size(); ++rank)
      EXPECT_NO_THROW(require_part(job, rank, all.scripts[static_cast<std::size_t>(rank)]));
    EXPECT_EQ(failure_of(job), "");
  }
}

TEST(VerifiedLayouts, BreakagesAreCaught) {
  std::mt19937 random(2);
  int broken = 0;
  for (int i = 0; i < 20; ++i) {
    const Config config = random_layout(random);
    broken += expect_breakages_caught(text_of(config), job_of(config), 2);
  }
  EXPECT_GE(broken, 200);
}

}  // namespace
}  // namespace fusor::testing
