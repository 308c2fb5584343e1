// Runs whose micro-batches have several shapes: in the memory that was planned for all of them, the
// same run under every layout.
#include <gtest/gtest.h>

#include <set>

#include "launch/layout_text.h"
#include "launch/planned_job.h"
#include "launch/text_task.h"
#include "parallel/verifier.h"
#include "runtime/random.h"
#include "runtime/target.h"
#include "tests/layouts_of_task.h"

namespace fusor {
namespace {

using namespace layouts_of_task;

constexpr std::int64_t kVocab = 23, kShort = 6, kLong = 16, kSteps = 3;

// A language model on sequences of two lengths, of which a step has some of each.
class TwoLengths final : public TextTask {
 public:
  using TextTask::TextTask;

  Inputs inputs(const RunSize& size, const Mesh&) const override {
    BatchShape few = token_batch(size.micro_batch, RowMap::whole(0, kShort)),
               many = token_batch(size.micro_batch, RowMap::whole(0, kLong));
    few.name = "short", many.name = "long";
    return {{few, many}, [](std::int64_t step, std::int64_t micro) {
              return static_cast<std::size_t>((step + micro * micro) % 3 == 1);
            }};
  }

  BatchSource training(const RunSize& size, const Mesh& mesh, std::int64_t step) const override {
    const std::int64_t first = first_micro(size, mesh);
    return [=, count = std::int64_t{0}](const Batch& to) mutable {
      const std::int64_t now = step + count / size.accumulation;
      const auto micro = static_cast<std::uint64_t>(first + count % size.accumulation);
      ++count;
      const RandomKey key = random_key(5, "tokens", static_cast<std::uint64_t>(now));
      const auto tokens = to["tokens"].host<std::int32_t>(),
                 targets = to["targets"].host<std::int32_t>();
      for (std::size_t i = 0; i < tokens.size(); ++i) {
        tokens[i] = static_cast<std::int32_t>(random_bits(key, micro << 16 | i) % kVocab);
        targets[i] = static_cast<std::int32_t>(random_bits(key, micro << 16 | (i + 1)) % kVocab);
      }
      return std::ssize(tokens);
    };
  }
};

Config recipe() {
  Config c;
  c.model = {.vocab_size = kVocab, .seq_len = kLong, .layers = 4, .width = 16, .heads = 4};
  c.model.dropout = 0.1;
  c.train.global_batch = 8, c.train.micro_batch = 1, c.train.steps = kSteps;
  c.optimizer.lr = 3e-3;
  return c;
}

TrialOutcome run(const std::string& layout) {
  const Config config = config_of(recipe(), layout);
  return train(std::make_shared<TwoLengths>(config), config, kSteps, Peak::at_most_planned);
}

class BatchShapes : public testing::TestWithParam<std::string> {};

TEST_P(BatchShapes, TheRunIsTheSameToTheBit) { expect_same_bits(run(GetParam()), run("")); }

INSTANTIATE_TEST_SUITE_P(, BatchShapes,
                         testing::Values("dp=2", "dp=4,zero=1", "dp=2,zero=3", "pp=2",
                                         "pp=4,schedule=gpipe",
                                         "pp=2,stages=2,schedule=interleaved",
                                         "pp=2,schedule=zb_h1", "dp=2,pp=2,zero=2,recompute=full"));

class SplitBatchShapes : public testing::TestWithParam<std::string> {};

TEST_P(SplitBatchShapes, TheRunIsTheSameButForRounding) {
  expect_near(run(GetParam()), run(""), 1e-4);
}

INSTANTIATE_TEST_SUITE_P(, SplitBatchShapes,
                         testing::Values("tp=2", "tp=2,pp=2,zero=1,dp=2", "tp=2,sequence=true"));

TEST(BatchShapesRehearsal, PlaysAStepOfEach) {
  const Config config = config_of(recipe(), "pp=2");
  const TwoLengths task(config);
  const Rehearsal r = rehearse(task, config, run_size(config, 2), 0);
  EXPECT_EQ(r.steps, 2);
  std::set<std::string> programs;
  for (const MemoryPlan::Program& p : r.memory.programs) programs.insert(p.name);
  for (const std::string name : {"stage.0.F@short", "stage.0.F@long", "stage.0.B.first@short",
                                 "stage.0.B.last@long", "stage.0.send.F.1@long", "update"})
    EXPECT_TRUE(programs.contains(name)) << name;
}

TEST(BatchShapesRehearsal, TheJobOfAllRanksIsVerified) {
  for (const std::string layout : {"dp=2,pp=2", "tp=2,zero=3,dp=2", "pp=2,schedule=zb_h1"}) {
    const Config config = config_of(recipe(), layout);
    const RunSize size = run_size(config, ranks_of(config.parallel));
    const PlannedJob planned = plan_job(TwoLengths(config), config, size, size.mesh.size());
    EXPECT_NO_THROW(verify(planned.job)) << layout;
  }
}

}  // namespace
}  // namespace fusor
