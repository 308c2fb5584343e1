#include <gmock/gmock.h>

#include <numeric>

#include "launch/evaluation.h"
#include "tests/thrown_by.h"

namespace fusor {
namespace {

using testing::ElementsAre;

// Tokens 0, 1, ... and as targets 100, 101, ..., the last of which are not there.
void count_up(std::span<std::int32_t> tokens, std::span<std::int32_t> targets) {
  std::iota(tokens.begin(), tokens.end(), 0);
  std::iota(targets.begin(), targets.end(), 100);
  std::fill(targets.end() - 3, targets.end(), kIgnoredTarget);
}

std::vector<std::int32_t> values(const Tensor& t) {
  const auto all = t.host<std::int32_t>();
  return {all.begin(), all.end()};
}

TEST(Upload, TakesTheRanksPositionsOfEachSample) {
  StagedBatch outer({2, RowMap::zigzag(0, 8, 0, 2)}, 256, Device());
  outer.fill(count_up);
  const TokenBatch batch = outer.upload();
  EXPECT_THAT(values(batch.tokens), ElementsAre(0, 1, 6, 7, 8, 9, 14, 15));
  EXPECT_THAT(values(batch.targets), ElementsAre(100, 101, 106, 107, 108, 109, -1, -1));
  EXPECT_EQ(outer.num_targets(), 6);
  EXPECT_EQ(batch.samples, 2);
  EXPECT_EQ(batch.seq_len, 8);
  StagedBatch inner({2, RowMap::zigzag(0, 8, 1, 2)}, 256, Device());
  inner.fill(count_up);
  EXPECT_THAT(values(inner.upload().tokens), ElementsAre(2, 3, 4, 5, 10, 11, 12, 13));
  EXPECT_EQ(inner.num_targets(), 7);  // each target once over the ranks
}

TEST(Upload, OfWholeSamplesIsTheBatch) {
  StagedBatch staged({2, RowMap::whole(0, 4)}, 256, Device());
  staged.fill(count_up);
  EXPECT_THAT(values(staged.upload().tokens), ElementsAre(0, 1, 2, 3, 4, 5, 6, 7));
  EXPECT_EQ(staged.num_targets(), 5);
}

TEST(Upload, TheNextBatchTakesThePlaceOfTheLast) {
  StagedBatch staged({1, RowMap::whole(0, 4)}, 256, Device());
  staged.fill(count_up);
  const TokenBatch first = staged.upload();
  staged.fill([](std::span<std::int32_t> tokens, std::span<std::int32_t> targets) {
    std::ranges::fill(tokens, 7);
    std::ranges::fill(targets, 8);
  });
  EXPECT_THAT(values(staged.upload().targets), ElementsAre(8, 8, 8, 8));
  EXPECT_EQ(staged.num_targets(), 4);
  EXPECT_THAT(values(first.tokens), ElementsAre(0, 1, 2, 3));
}

TEST(Upload, RefusesTokensThatTheModelDoesNotKnow) {
  const auto take = [](std::int32_t token, std::int32_t target) {
    return thrown_by([=] {
      StagedBatch({1, RowMap::whole(0, 1)}, 10, Device())
          .fill([=](std::span<std::int32_t> tokens, std::span<std::int32_t> targets) {
            tokens[0] = token, targets[0] = target;
          });
    });
  };
  EXPECT_EQ(take(9, 9), "no error");
  EXPECT_EQ(take(0, kIgnoredTarget), "no error");
  EXPECT_EQ(take(10, 0),
            "the data hold token 10, which a model of model.vocab_size 10 does not know");
  EXPECT_EQ(take(kIgnoredTarget, 0),
            "the data hold token -1, which a model of model.vocab_size 10 does not know");
  EXPECT_EQ(take(0, -2),
            "the data hold token -2, which a model of model.vocab_size 10 does not know");
}

}  // namespace
}  // namespace fusor
