#include "launch/rehearsal.h"

#include <gtest/gtest.h>

#include <map>
#include <sstream>

#include "launch/recipe.h"
#include "parallel/verifier.h"

namespace fusor::testing {
namespace {

constexpr const char* kRecipe =
    "[model]\npreset = llama-tiny\nvocab_size = 256\nseq_len = 16\nlayers = 2\nwidth = 32\n"
    "heads = 2\nkv_heads = 2\n[train]\nsteps = 10\nmicro_batch = 2\n";

// The first, the last and the micro-batches between may each ask for other memory.
TEST(Rehearsal, PlansAnyAccumulation) {
  for (const std::string reduce : {"fast", "exact"})
    for (const std::string accumulation : {"1", "2", "3", "4"})
      for (const int ranks : {1, 2}) {
        std::istringstream text(kRecipe);
        const Config config = parse_recipe(
            text, "test.ini", {{"parallel.reduce", reduce}, {"train.accumulation", accumulation}});
        const Rehearsal rehearsal = rehearse(config, run_size(config, ranks), 0);
        EXPECT_GT(rehearsal.memory.bytes, 0u) << reduce << ' ' << accumulation << ' ' << ranks;
      }
}

// Micro-batches 0, 1, 2 of six are (0+1) and 2; 3, 4, 5 are three sums until 5 has come.
TEST(Rehearsal, ExactSumsMayTakeMoreMemoryOnSomeRanks) {
  std::istringstream text(kRecipe);
  const Config config =
      parse_recipe(text, "test.ini", {{"parallel.reduce", "exact"}, {"train.accumulation", "3"}});
  const RunSize size = run_size(config, 2);
  EXPECT_GT(rehearse(config, size, 1).memory.bytes, rehearse(config, size, 0).memory.bytes);
}

// The calls of a kind that begin in a micro-batch, and those of them that matrix products run
// beside.
struct Beside {
  int calls = 0, hidden = 0;
  bool operator==(const Beside&) const = default;
};
Beside beside_products(const Trace& trace, CommKind kind) {
  Beside count;
  std::map<std::uint64_t, int> begun;  // the products before it
  bool in_micro = false;
  int products = 0;
  for (const TraceEvent& event : trace.events) {
    if (const auto* program = std::get_if<ProgramEvent>(&event))
      in_micro = program->begin && program->name.starts_with("micro");
    if (const auto* op = std::get_if<OpEvent>(&event))
      products += op->cost.flops > 3 * op->cost.bytes ? 1 : 0;
    if (const auto* call = std::get_if<CommEvent>(&event); call && in_micro && call->kind == kind)
      ++count.calls, begun[call->id] = products;
    if (const auto* wait = std::get_if<WaitEvent>(&event); wait && begun.contains(wait->id))
      if (products > begun[wait->id]) ++count.hidden;
  }
  return count;
}

// Parts: embed, two blocks, head, whose weights stay from its forward to its backward pass. Embed
// has no products: nothing hides its own first gather, that of block.0 after it, and the last two
// sums.
TEST(Rehearsal, WeightsComeAndGradientsGoBesideProducts) {
  std::istringstream text(kRecipe);
  const Config config = parse_recipe(
      text, "test.ini",
      {{"parallel.zero", "3"}, {"train.accumulation", "1"}, {"model.tied_embeddings", "false"}});
  const Trace trace = rehearse(config, run_size(config, 2), 0).trace;
  EXPECT_EQ(beside_products(trace, CommKind::all_gather), (Beside{4 + 3, 4 + 3 - 2}));
  EXPECT_EQ(beside_products(trace, CommKind::reduce_scatter), (Beside{4, 4 - 2}));
}

// Also those that are not played but repeat another; evaluations and samples are not of the step.
TEST(Rehearsal, EstimatesEveryMicroBatchOfAStep) {
  const auto seconds = [](const std::string& accumulation, const std::string& other) {
    std::istringstream text(kRecipe);
    const Config config = parse_recipe(text, "test.ini",
                                       {{"train.accumulation", accumulation},
                                        {"train.eval_every", other},
                                        {"train.sample_every", other}});
    return estimate_step_seconds(rehearse(config, run_size(config, 1), 0).trace, {1e9, 1e9});
  };
  const double four = seconds("4", "0"), six = seconds("6", "0"), eight = seconds("8", "0");
  EXPECT_GT(six, 1.2 * four);
  EXPECT_NEAR(eight - six, six - four, 1e-9 * eight);
  EXPECT_EQ(seconds("8", "1"), eight);
}

TEST(Rehearsal, OfAllRanksIsVerified) {
  for (const std::string reduce : {"fast", "exact"})
    for (const int ranks : {1, 2, 4, 8}) {
      std::istringstream text(kRecipe);
      const Config config = parse_recipe(text, "test.ini",
                                         {{"parallel.reduce", reduce},
                                          {"parallel.zero", std::to_string(ranks / 4)},
                                          {"train.accumulation", "3"}});
      Job job{
          .scripts = {}, .script_of_rank = {}, .communicators = communicators_of({.dp = ranks})};
      for (int rank = 0; rank < ranks; ++rank) {
        const Rehearsal rehearsal = rehearse(config, run_size(config, ranks), rank);
        job.script_of_rank.push_back(rank);
        job.scripts.push_back(script_of(rehearsal.trace));
        job.scripts.back().arena = rehearsal.memory.bytes;
      }
      const Verified found = verify(job);
      EXPECT_EQ(found.ranks, ranks);
      EXPECT_TRUE(reduce == "exact" || found.colors == 1) << reduce << ' ' << ranks;
    }
}

}  // namespace
}  // namespace fusor::testing
