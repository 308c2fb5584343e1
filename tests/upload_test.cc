#include <gmock/gmock.h>

#include <numeric>

#include "launch/evaluation.h"

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
  std::int64_t targets = 0;
  const TokenBatch outer = upload(count_up, {2, RowMap::zigzag(0, 8, 0, 2)}, Device(), &targets);
  EXPECT_THAT(values(outer.tokens), ElementsAre(0, 1, 6, 7, 8, 9, 14, 15));
  EXPECT_THAT(values(outer.targets), ElementsAre(100, 101, 106, 107, 108, 109, -1, -1));
  EXPECT_EQ(targets, 6);
  EXPECT_EQ(outer.samples, 2);
  EXPECT_EQ(outer.seq_len, 8);
  const TokenBatch inner = upload(count_up, {2, RowMap::zigzag(0, 8, 1, 2)}, Device(), &targets);
  EXPECT_THAT(values(inner.tokens), ElementsAre(2, 3, 4, 5, 10, 11, 12, 13));
  EXPECT_EQ(targets, 6 + 7);  // each target once over the ranks
}

TEST(Upload, OfWholeSamplesIsTheBatch) {
  std::int64_t targets = 0;
  const TokenBatch batch = upload(count_up, {2, RowMap::whole(0, 4)}, Device(), &targets);
  EXPECT_THAT(values(batch.tokens), ElementsAre(0, 1, 2, 3, 4, 5, 6, 7));
  EXPECT_EQ(targets, 5);
}

}  // namespace
}  // namespace fusor
