#include "launch/batch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runtime/error.h"
#include "tests/thrown_by.h"

namespace fusor {
namespace {

using ::testing::ElementsAre;

Config with_batch(std::int64_t global, std::int64_t micro, std::int64_t accumulation) {
  Config c;
  c.train.global_batch = global;
  c.train.micro_batch = micro;
  c.train.accumulation = accumulation;
  return resolve(c);
}

std::vector<std::int64_t> batch_of(const Config& c, std::int64_t ranks) {
  const RunSize size = run_size(c, ranks);
  return {size.global_batch, size.micro_batch, size.accumulation, size.dp};
}

std::string error_of(const Config& c, std::int64_t ranks) {
  return thrown_by([&] { run_size(c, ranks); });
}

TEST(Batch, AnyTwoGiveTheThird) {
  const auto all = ElementsAre(256, 4, 8, 8);
  EXPECT_THAT(batch_of(with_batch(256, 4, 0), 8), all);
  EXPECT_THAT(batch_of(with_batch(256, 0, 8), 8), all);
  EXPECT_THAT(batch_of(with_batch(0, 4, 8), 8), all);
  EXPECT_THAT(batch_of(with_batch(256, 4, 8), 8), all);
}

TEST(Batch, FillsInWhatIsNotGiven) {
  EXPECT_THAT(batch_of(with_batch(0, 0, 0), 1), ElementsAre(32, 8, 4, 1));
  EXPECT_THAT(batch_of(with_batch(0, 0, 0), 3), ElementsAre(48, 8, 2, 3));
  EXPECT_THAT(batch_of(with_batch(24, 0, 0), 2), ElementsAre(24, 6, 2, 2));
  EXPECT_THAT(batch_of(with_batch(0, 5, 0), 2), ElementsAre(10, 5, 1, 2));
  EXPECT_THAT(batch_of(with_batch(0, 0, 3), 2), ElementsAre(48, 8, 3, 2));
}

TEST(Batch, NamesTheNearestThatDivide) {
  EXPECT_EQ(error_of(with_batch(256, 6, 0), 8),
            "train.global_batch 256 is not a multiple of micro 6 x dp 8 = 48, the nearest that "
            "are: 240 and 288");
  EXPECT_EQ(error_of(with_batch(5, 0, 0), 8),
            "train.global_batch 5 is not a multiple of dp 8, the nearest that are: 8");
  EXPECT_EQ(error_of(with_batch(8, 0, 3), 4),
            "train.global_batch 8 is not a multiple of accumulation 3 x dp 4 = 12, the nearest "
            "that are: 12");
  EXPECT_EQ(error_of(with_batch(256, 4, 4), 8),
            "train.global_batch 256 is not micro 4 x accumulation 4 x dp 8 = 128, leave one of "
            "the three out");
}

TEST(Batch, TheLayoutMustTakeEveryRank) {
  Config c = with_batch(8, 0, 0);
  c.parallel.dp = 4;
  EXPECT_THAT(batch_of(c, 4), ElementsAre(8, 2, 1, 4));
  EXPECT_EQ(error_of(c, 1),
            "the layout needs 4 ranks (dp 4 x tp 1 x pp 1 x cp 1), but 1 runs, the nearest that "
            "works: parallel.dp 1");
  c.parallel.tp = 3;
  EXPECT_EQ(error_of(c, 8),
            "the layout needs 12 ranks (dp 4 x tp 3 x pp 1 x cp 1), but 8 run, the nearest that "
            "works: ranks 12");
  c.parallel.dp = 0;
  EXPECT_EQ(error_of(c, 8),
            "the layout needs a multiple of 3 ranks (tp 3 x pp 1 x cp 1), but 8 run, the nearest "
            "that work: 6 and 9");
}

TEST(Batch, RowsDivideOverCpAndTp) {
  Config c = with_batch(0, 1, 1);
  c.data.seq_len = 20;
  c.parallel.cp = 3;
  EXPECT_EQ(error_of(c, 3),
            "parallel.cp 3 cuts a sequence into 6 equal chunks, but data.seq_len is 20, the "
            "nearest that work: 18 and 24");
  c.parallel.cp = 2, c.parallel.tp = 4, c.parallel.sequence = true;
  EXPECT_EQ(error_of(c, 8),
            "parallel.sequence splits the rows of a micro-batch (micro 1 x data.seq_len 20 / cp 2 "
            "= 10) evenly over tp 4, the nearest train.micro_batch that works: 2");
  c.train.micro_batch = 2;
  EXPECT_EQ(run_size(c, 8).mesh, (MeshShape{.tp = 4, .cp = 2}));
  c.train.micro_batch = 1, c.parallel.sequence = false;
  EXPECT_THAT(batch_of(c, 16), ElementsAre(2, 1, 1, 2));
}

TEST(Steps, ComeFromTokensOrSteps) {
  Config c = with_batch(8, 8, 1);
  c.data.seq_len = 100;
  EXPECT_EQ(run_size(c, 1).steps, 1000);
  c.train.tokens = 1601;  // steps of 800 tokens
  EXPECT_EQ(run_size(c, 1).steps, 3);
  c.train.steps = 3;
  EXPECT_EQ(run_size(c, 1).steps, 3);
  c.train.steps = 4;
  EXPECT_EQ(error_of(c, 1),
            "train.steps 4 and train.tokens 1601 (3 steps of 800 tokens) disagree, leave one out");
  c.train.tokens = 0;
  c.optimizer.warmup_steps = 5;
  EXPECT_EQ(error_of(c, 1), "optimizer.warmup_steps 5 is longer than the run's 4 steps");
}

TEST(Batch, PrintsItsFormulas) {
  Config c = with_batch(256, 4, 8);
  c.train.steps = 10;
  EXPECT_THAT(formulas(run_size(c, 8)),
              ElementsAre("ranks 8 = dp 8", "global batch 256 = micro 4 x accumulation 8 x dp 8",
                          "tokens per step 262144 = global batch 256 x sequence 1024",
                          "tokens 2621440 = steps 10 x 262144"));
  c.parallel.tp = 2, c.parallel.pp = 2, c.parallel.cp = 2;
  EXPECT_EQ(formulas(run_size(c, 64)).front(), "ranks 64 = dp 8 x tp 2 x pp 2 x cp 2");
  EXPECT_EQ(formulas(run_size(with_batch(8, 0, 0), 1)).front(), "ranks 1");
}

}  // namespace
}  // namespace fusor
