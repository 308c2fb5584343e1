#include "ops/row_map.h"

#include <gmock/gmock.h>

#include <vector>

#include "runtime/error.h"

namespace fusor {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

std::vector<std::int64_t> positions(const RowMap& map, std::int64_t rows) {
  std::vector<std::int64_t> all;
  for (std::int64_t r = 0; r < rows; ++r) all.push_back(map.position(r));
  return all;
}

TEST(RowMap, OfWholeSamplesCountsTheGlobalRows) {
  const RowMap map = RowMap::whole(3, 5);
  for (std::int64_t r = 0; r < 15; ++r) {
    EXPECT_EQ(map.sample(r), 3 + r / 5);
    EXPECT_EQ(map.position(r), r % 5);
    EXPECT_EQ(map.global_row(r), 15 + r);
  }
  EXPECT_EQ(map.run_end(2, 15), 15);
}

TEST(RowMap, ZigzagPairsAnEarlyChunkWithALateOne) {
  EXPECT_THAT(positions(RowMap::zigzag(0, 8, 0, 2), 8), ElementsAre(0, 1, 6, 7, 0, 1, 6, 7));
  EXPECT_THAT(positions(RowMap::zigzag(0, 8, 1, 2), 8), ElementsAre(2, 3, 4, 5, 2, 3, 4, 5));
  EXPECT_EQ(RowMap::zigzag(0, 8, 0, 2).end_position(), 8);
  EXPECT_EQ(RowMap::zigzag(7, 8, 0, 2).global_row(6), 8 * 8 + 6);
}

TEST(RowMap, RanksOfAZigzagCoverEachRowOnce) {
  for (const int cp : {1, 2, 4}) {
    std::vector<int> seen(3 * 24);
    for (int c = 0; c < cp; ++c)
      for (std::int64_t r = 0; r < 3 * 24 / cp; ++r)
        ++seen[static_cast<std::size_t>(RowMap::zigzag(0, 24, c, cp).global_row(r))];
    EXPECT_THAT(seen, testing::Each(1)) << "cp " << cp;
  }
}

TEST(RowMap, SlicesGoOnFromTheirFirstRow) {
  const RowMap map = RowMap::zigzag(2, 12, 0, 3), slice = map.rows_from(3).rows_from(2);
  for (std::int64_t r = 0; r < 7; ++r) EXPECT_EQ(slice.global_row(r), map.global_row(r + 5));
}

TEST(RowMap, RunsAreOfConsecutiveGlobalRows) {
  for (const RowMap& map :
       {RowMap::whole(1, 6), RowMap::zigzag(1, 12, 0, 3).rows_from(1), RowMap::positions(4, 3)}) {
    std::int64_t r = 0;
    for (std::int64_t begin = 0; begin < 11; begin = r)
      for (r = begin + 1; r < map.run_end(begin, 11); ++r)
        EXPECT_EQ(map.global_row(r), map.global_row(r - 1) + 1);
    EXPECT_EQ(r, 11);
  }
}

TEST(RowMap, OfPositionsBeginsAnywhere) {
  EXPECT_THAT(positions(RowMap::positions(5, 3), 6), ElementsAre(5, 6, 7, 5, 6, 7));
  EXPECT_EQ(RowMap::positions(5, 3).end_position(), 8);
}

TEST(RowMap, RefusesChunksThatDoNotDivide) {
  EXPECT_THAT([] { RowMap::zigzag(0, 12, 0, 4); },
              ThrowsMessage<Error>(
                  HasSubstr("cp 4 cuts a sequence into 8 equal chunks, but it has 12 tokens")));
  EXPECT_THAT([] { RowMap::zigzag(0, 12, 3, 3); }, ThrowsMessage<Error>(HasSubstr("rank 3 of 3")));
  EXPECT_THAT([] { RowMap::positions(-1, 3); }, ThrowsMessage<Error>(HasSubstr("from -1 on")));
}

}  // namespace
}  // namespace fusor
