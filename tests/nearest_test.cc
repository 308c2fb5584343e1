#include "runtime/nearest.h"

#include <gtest/gtest.h>

namespace fusor {
namespace {

TEST(EditDistance, CountsInsertionsDeletionsSubstitutionsAndSwaps) {
  EXPECT_EQ(edit_distance("", ""), 0u);
  EXPECT_EQ(edit_distance("", "abc"), 3u);
  EXPECT_EQ(edit_distance("abc", ""), 3u);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);
  EXPECT_EQ(edit_distance("trian", "train"), 1u);
  EXPECT_EQ(edit_distance("lr", "l"), 1u);
}

TEST(Nearest, PicksTheClosestAndOnlyASlip) {
  const std::vector<std::string> commands{"train", "eval", "plan", "data"};
  EXPECT_EQ(nearest("trian", commands), "train");
  EXPECT_EQ(nearest("dat", commands), "data");
  EXPECT_EQ(nearest("xylophone", commands), "");
  EXPECT_EQ(nearest("train", {}), "");
}

TEST(Nearest, ASameNameInAnotherSectionComesFirst) {
  const std::vector<std::string> keys{"train.dp", "optimizer.lr", "log.every", "checkpoint.every"};
  EXPECT_EQ(nearest("train.lr", keys), "optimizer.lr");
  EXPECT_EQ(nearest("lr", keys), "optimizer.lr");
  EXPECT_EQ(nearest("chekpoint.every", keys), "checkpoint.every");
}

TEST(Nearest, EndsASentence) {
  EXPECT_EQ(did_you_mean("pla", {"plan"}), ", did you mean \"plan\"?");
  EXPECT_EQ(did_you_mean("xylophone", {"plan"}), "");
}

TEST(NearestDivisors, AreThoseOnBothSides) {
  EXPECT_EQ(nearest_divisors(12, 5), "4 or 6");
  EXPECT_EQ(nearest_divisors(8, 3), "2 or 4");
  EXPECT_EQ(nearest_divisors(7, 3), "1 or 7");
  EXPECT_EQ(nearest_divisors(8, 9), "8");
}

}  // namespace
}  // namespace fusor
