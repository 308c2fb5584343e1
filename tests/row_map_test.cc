#include "ops/row_map.h"

#include <gmock/gmock.h>

#include <functional>
#include <vector>

#include "ops/dropout.h"
#include "ops/embedding.h"
#include "ops/rotary.h"
#include "tests/near.h"

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

// Two samples of 24 tokens, from the third of the step on: under cp ranks, each of whose rows are
// cut into `slices`.
constexpr std::int64_t kSamples = 2, kSeqLen = 24, kFirstSample = 3;
struct Cut {
  int cp;
  std::int64_t slices;
};
constexpr Cut kCuts[] = {{1, 1}, {1, 3}, {2, 1}, {2, 4}, {4, 1}, {4, 3}};

// Calls body(map, rows of the micro-batch) for each slice.
template <class Body>
void for_each_slice(const Cut& cut, Body&& body) {
  const std::int64_t count = kSamples * kSeqLen / cut.cp / cut.slices;
  for (int c = 0; c < cut.cp; ++c)
    for (std::int64_t i = 0; i < cut.slices; ++i) {
      const RowMap map = RowMap::zigzag(kFirstSample, kSeqLen, c, cut.cp).rows_from(i * count);
      std::vector<std::int64_t> rows;
      for (std::int64_t r = 0; r < count; ++r)
        rows.push_back(map.global_row(r) - kFirstSample * kSeqLen);
      body(map, rows);
    }
}

// op(x, map) of each slice is, to the bit, what it is of the whole.
void expect_slices_of_the_whole(const std::function<Var(const Var&, const RowMap&)>& op) {
  const Tensor x = noise({kSamples * kSeqLen, 18}, DType::f32, 1);
  const Tensor whole = op(Var::input(x), RowMap::whole(kFirstSample, kSeqLen)).value();
  EXPECT_GT(distance(x, whole), 0);
  for (const Cut& cut : kCuts)
    for_each_slice(cut, [&](const RowMap& map, const std::vector<std::int64_t>& rows) {
      EXPECT_EQ(distance(op(Var::input(rows_of(x, rows)), map).value(), rows_of(whole, rows)), 0)
          << "cp " << cut.cp << " in " << cut.slices << " slices, from row " << map.first_row;
    });
}

TEST(OpsOfRows, DropoutOfSlicesIsThatOfTheWhole) {
  expect_slices_of_the_whole([](const Var& x, const RowMap& map) {
    return dropout(x, 0.5, {{7}, step_number(1)}, map);
  });
}

TEST(OpsOfRows, RotaryOfSlicesIsThatOfTheWhole) {
  expect_slices_of_the_whole([](const Var& x, const RowMap& map) {
    return rotary(x, {1, x.shape()[0], 1, 1, 6}, 10000, map);
  });
}

TEST(OpsOfRows, PositionsOfSlicesAreThoseOfTheWhole) {
  const Var table = Var::input(noise({kSeqLen, 18}, DType::f32, 2));
  expect_slices_of_the_whole(
      [&](const Var& x, const RowMap& map) { return add_positions(x, table, map); });
}

TEST(OpsOfRows, GradientOfPositionsIsTheSumOverSlices) {
  const Tensor dy = noise({kSamples * kSeqLen, 7}, DType::f64, 1);
  const auto add_gradient = [](const Var& table, const Tensor& dy, const RowMap& map) {
    Tape tape;
    const Var y = add_positions(Var::input(empty_like(dy), &tape), table, map);
    tape.backward(y, dy);
  };
  const auto table = [] {
    const Shape shape{kSeqLen, 7};
    return Var::parameter(Tensor(shape, DType::f64), Tensor(shape, DType::f64));
  };
  const Var whole = table();
  add_gradient(whole, dy, RowMap::whole(kFirstSample, kSeqLen));
  for (const Cut& cut : kCuts) {
    const Var sum = table();
    for_each_slice(cut, [&](const RowMap& map, const std::vector<std::int64_t>& rows) {
      add_gradient(sum, rows_of(dy, rows), map);
    });
    EXPECT_LT(distance(sum.grad().tensor(), whole.grad().tensor()), 1e-15)
        << "cp " << cut.cp << " in " << cut.slices << " slices";
  }
}

}  // namespace
}  // namespace fusor
