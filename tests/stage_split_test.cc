#include "parallel/stage_split.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <numeric>
#include <random>

#include "thrown_by.h"

namespace fusor {
namespace {

const std::vector<std::string> kNames = {"embed",   "block.0", "block.1", "block.2",
                                         "block.3", "norm",    "head"};

// The largest stage cost and the sum of squares.
std::pair<double, double> cost_of(const StageSplit& split, const std::vector<double>& costs) {
  std::pair<double, double> total;
  for (int s = 0; s < split.num_stages(); ++s) {
    const double cost =
        std::accumulate(costs.begin() + split.begins[s], costs.begin() + split.begins[s + 1], 0.0);
    total = {std::max(total.first, cost), total.second + cost * cost};
  }
  return total;
}

std::pair<double, double> cheapest(const std::vector<double>& costs, StageSplit split, int left) {
  const int parts = static_cast<int>(costs.size());
  if (left == 1) {
    split.begins.push_back(parts);
    return cost_of(split, costs);
  }
  std::pair best(1e9, 1e9);
  for (int end = split.begins.back() + 1; end <= parts - left + 1; ++end) {
    StageSplit longer = split;
    longer.begins.push_back(end);
    best = std::min(best, cheapest(costs, longer, left - 1));
  }
  return best;
}

TEST(StageSplit, IsTheBestThereIs) {
  std::mt19937 random(3);
  for (int i = 0; i < 300; ++i) {
    std::vector<double> costs(std::uniform_int_distribution(1, 10)(random));
    for (double& cost : costs) cost = std::uniform_int_distribution(0, 9)(random);
    const int stages = std::uniform_int_distribution(1, static_cast<int>(costs.size()))(random);
    const StageSplit split = split_by_cost(costs, stages);
    ASSERT_EQ(split.num_stages(), stages);
    ASSERT_EQ(split.num_parts(), static_cast<int>(costs.size()));
    for (int s = 0; s < stages; ++s) ASSERT_LT(split.begins[s], split.begins[s + 1]);
    ASSERT_EQ(cost_of(split, costs), cheapest(costs, {{0}}, stages));
  }
}

TEST(StageSplit, AnExpensiveHeadStandsWithFewerBlocks) {
  EXPECT_EQ(split_by_cost({0.1, 1, 1, 1, 1, 1, 2}, 2), (StageSplit{{0, 4, 7}}));
}

TEST(StageSplit, IsReadAndWrittenByHand) {
  const StageSplit split{{0, 2, 5, 7}};
  EXPECT_EQ(to_text(split, kNames), "embed..block.0 | block.1..block.3 | norm..head");
  EXPECT_EQ(parse_split(to_text(split, kNames), kNames, 3), split);
  EXPECT_EQ(parse_split("2,3,2", kNames, 3), split);
  EXPECT_EQ(parse_split(" 2, 3 ,2 ", kNames, 3), split);
  EXPECT_EQ(parse_split("embed..norm|head", kNames, 2), (StageSplit{{0, 6, 7}}));
  EXPECT_EQ(split.stage_of(0), 0);
  EXPECT_EQ(split.stage_of(2), 1);
  EXPECT_EQ(split.stage_of(4), 1);
  EXPECT_EQ(split.stage_of(6), 2);
}

TEST(StageSplit, MistakesNameThePart) {
  const auto refusal = [](const char* text, int stages = 2) {
    return thrown_by([&] { parse_split(text, kNames, stages); });
  };
  EXPECT_EQ(refusal("embed..blok.2 | block.3..head"),
            "the model has no part \"blok.2\", did you mean \"block.2\"?");
  EXPECT_EQ(refusal("embed..block.1 | block.3..head"),
            "stage 1 begins with block.3, but block.2 is the next part");
  EXPECT_EQ(refusal("embed..block.2 | block.2..head"),
            "stage 1 begins with block.2, but block.3 is the next part");
  EXPECT_EQ(refusal("embed..block.2 | block.3..embed"),
            "stage 1 ends with embed, which stands before block.3");
  EXPECT_EQ(refusal("embed..block.2 | block.3"),
            "the split \"embed..block.2 | block.3\" leaves out norm and what comes after it");
  EXPECT_EQ(refusal("embed..head | head"),
            "stage 1 begins with head, but all parts stand in the stages before it");
  EXPECT_EQ(refusal("embed..head |"), "stage 1 of the split \"embed..head |\" has no part");
  EXPECT_EQ(refusal("embed..block.2 | block.3..head", 3),
            "the split \"embed..block.2 | block.3..head\" has 2 stages; the layout has 3");
  EXPECT_EQ(refusal("3,3"), "the split \"3,3\" leaves out head and what comes after it");
  EXPECT_EQ(refusal("3,5"), "stage 1 is to have 5 parts; 4 of the model's 7 are left for it");
  EXPECT_EQ(refusal("7,0"), "stage 1 is to have 0 parts; 0 of the model's 7 are left for it");
  EXPECT_EQ(refusal("1,1,1,1,1,1,1,1", 8),
            "8 pipeline stages for a model of 7 parts; a stage is one part or more");
  EXPECT_EQ(thrown_by([] { split_by_cost({1, -1}, 1); }), "part 1 costs -1");
}

// Two encoders of two parts each, a trunk that joins them and reads the first once more.
TEST(StageSplit, StagesReadWhatTheirPartsRead) {
  const std::vector<std::vector<int>> inputs = {{}, {0}, {}, {2}, {1, 3}, {0, 1, 4}};
  const StageSplit split{{0, 2, 4, 5, 6}};
  EXPECT_EQ(stage_graph(split, inputs).inputs,
            (std::vector<std::vector<int>>{{}, {}, {0, 1}, {0, 2}}));
  EXPECT_EQ(parts_between(split, inputs, 0, 2), (std::vector<int>{1}));
  EXPECT_EQ(parts_between(split, inputs, 0, 3), (std::vector<int>{0, 1}));
  EXPECT_EQ(parts_between(split, inputs, 1, 3), (std::vector<int>{}));
  EXPECT_THROW(stage_graph(split, {{}, {0}}), Error);
}

}  // namespace
}  // namespace fusor
