#include "parallel/cost_model.h"

#include <gtest/gtest.h>

#include <numeric>

namespace fusor {
namespace {

Cluster plain() {
  Cluster c;
  c.ranks_per_node = 4;
  c.bandwidth = 1e12;
  c.peak_f64 = 1e12, c.peak_f32 = 10e12, c.peak_bf16 = 100e12;
  c.vector = 1e12;
  c.inside = {.bandwidth = 100e9, .latency = 1e-6, .start = 10e-6, .efficiency = {{{1, 1}}}};
  c.between = {.bandwidth = 10e9, .latency = 5e-6, .start = 20e-6, .efficiency = {{{1, 1}}}};
  return c;
}

double seconds(CommKind kind, double bytes, GroupLayout layout) {
  return CostModel(plain(), DType::f32).seconds(kind, bytes, layout);
}

TEST(Curve, IsLinearInTheLogarithmOfTheSize) {
  const Curve curve{{{1e3, 0.2}, {1e5, 0.6}}};
  EXPECT_DOUBLE_EQ(curve.at(1e3), 0.2);
  EXPECT_DOUBLE_EQ(curve.at(1e4), 0.4);
  EXPECT_DOUBLE_EQ(curve.at(1e7), 0.6);
  EXPECT_DOUBLE_EQ(10 / curve.at(10), 1e3 / curve.at(1e3)) << "below the curve time stays";
}

TEST(CostModel, AnOperatorTakesItsArithmeticOrItsTraffic) {
  Cluster c = plain();
  c.gemm = {{{1e9, 0.5}}};
  c.streaming = {{{1e6, 0.25}}};
  c.unaligned = 0.5;
  const CostModel model(c, DType::bf16);
  EXPECT_DOUBLE_EQ(model.seconds(OpEvent{"gemm_nt", "", {.flops = 1e12, .bytes = 1e6}}), 0.02);
  EXPECT_DOUBLE_EQ(model.seconds(OpEvent{"gemm_nt", "", {1e12, 1e6, false}}), 0.04);
  EXPECT_DOUBLE_EQ(model.seconds(OpEvent{"gemm_nt", "", {.flops = 1e9, .bytes = 1e12}}), 4);
  EXPECT_DOUBLE_EQ(model.seconds(OpEvent{"gelu", "", {.flops = 1e12, .bytes = 1e6}}), 1);
  EXPECT_DOUBLE_EQ(model.seconds(OpEvent{"fill", "", {}}), 0);
}

TEST(CostModel, RingsInsideANode) {
  constexpr double kBytes = 4e9;
  EXPECT_EQ(seconds(CommKind::all_reduce, kBytes, {1, 1}), 0);
  EXPECT_DOUBLE_EQ(seconds(CommKind::all_gather, kBytes / 4, {4, 4}), 10e-6 + 3e-6 + 0.03);
  EXPECT_DOUBLE_EQ(seconds(CommKind::reduce_scatter, kBytes, {4, 4}), 10e-6 + 3e-6 + 0.03);
  EXPECT_DOUBLE_EQ(seconds(CommKind::all_reduce, kBytes, {4, 4}), 10e-6 + 6e-6 + 0.06);
  EXPECT_DOUBLE_EQ(seconds(CommKind::all_to_all, kBytes, {4, 4}), 10e-6 + 3e-6 + 0.03);
  EXPECT_DOUBLE_EQ(seconds(CommKind::broadcast, kBytes, {4, 4}), 10e-6 + 2e-6 + 0.04);
  EXPECT_DOUBLE_EQ(seconds(CommKind::send, kBytes, {2, 2}), 10e-6 + 1e-6 + 0.04);
  EXPECT_DOUBLE_EQ(seconds(CommKind::barrier, 0, {4, 4}), 10e-6 + 4e-6);
}

TEST(CostModel, TwoLevelsOverNodes) {
  // Inside: reduce-scatter and all-gather of the whole; between: an all-reduce of a quarter.
  EXPECT_DOUBLE_EQ(seconds(CommKind::all_reduce, 4e9, {8, 4}),
                   20e-6 + (6e-6 + 0.06) + (2 * 5e-6 + 0.1));
  EXPECT_DOUBLE_EQ(seconds(CommKind::all_reduce, 4e9, {2, 1}), 20e-6 + 10e-6 + 0.4);
  EXPECT_DOUBLE_EQ(seconds(CommKind::send, 4e9, {2, 1}), 20e-6 + 5e-6 + 0.4);
  EXPECT_DOUBLE_EQ(seconds(CommKind::all_to_all, 4e9, {8, 4}),
                   20e-6 + (3e-6 + 0.015) + (5e-6 + 0.2));
}

TEST(CostModel, SmallAllReducesOfManyNodesGoByTrees) {
  const double tree = 20e-6 + 2 * 10 * 5e-6;
  EXPECT_NEAR(seconds(CommKind::all_reduce, 4, {1024, 1}), tree, 1e-8);
  EXPECT_DOUBLE_EQ(seconds(CommKind::all_reduce, 4e12, {4, 1}), 20e-6 + 30e-6 + 600) << "a ring";
}

TEST(GroupLayout, CountsTheRanksOfANode) {
  std::vector<int> row(8);
  std::iota(row.begin(), row.end(), 0);
  EXPECT_EQ(layout_of(row, 4), (GroupLayout{8, 4}));
  EXPECT_EQ(layout_of(row, 8), (GroupLayout{8, 8}));
  EXPECT_EQ(layout_of(std::vector{0, 2, 4, 6}, 4), (GroupLayout{4, 2}));
  EXPECT_EQ(layout_of(std::vector{3, 7, 11}, 4), (GroupLayout{3, 1}));
}

}  // namespace
}  // namespace fusor
