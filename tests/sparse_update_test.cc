// The update of a table's rows against the update of all of them.
#include "ops/sparse_update.h"

#include <gmock/gmock.h>

#include <cmath>
#include <map>

#include "tests/near.h"

namespace fusor::ops {
namespace {

constexpr std::int64_t kRows = 11, kCols = 6, kPart = 5, kParts = 3;
constexpr AdamW kSettings{.beta1 = 0.9, .beta2 = 0.99, .eps = 1e-6};

Tensor whole(std::uint64_t seed) { return noise({kRows, kCols}, DType::f64, seed); }

// Squared, as v is.
Tensor positive(std::uint64_t seed) {
  const Tensor t = whole(seed);
  fill(t, [v = doubles(t)](std::size_t i) { return v[i] * v[i]; });
  return t;
}

TableRows table(TableOptimizer optimizer) {
  return {whole(1), optimizer == TableOptimizer::adam ? whole(2) : Tensor(), positive(3),
          optimizer};
}

// In each part some ids, each once, and places without any.
RowGradients gradients() {
  const Tensor ids({kParts * kPart}, DType::i32);
  const std::int32_t of_parts[] = {3, -1, 7, 0, 10, -1, 7, 3, 1, -1, 10, 7, -1, -1, 2};
  fill(ids, [&](std::size_t i) { return of_parts[i]; });
  return {ids, noise({kParts * kPart, kCols}, DType::f64, 4), kPart, {0, 1, 2}};
}

Tensor numbers(std::vector<double> values) {
  const Tensor t({static_cast<std::int64_t>(values.size())}, DType::f64);
  fill(t, [&](std::size_t i) { return values[i]; });
  return t;
}

constexpr double kScale = 0.25, kLr = 0.1;
constexpr std::int64_t kStep = 3;

void update(const TableRows& t, const RowGradients& g) {
  const auto rates = adamw_rates(kSettings, kLr, kStep);
  sparse_update(t, g, kSettings, numbers({rates.begin(), rates.end()}), numbers({kScale}),
                Tensor({kRows}, DType::i32));
}

// The gradient of each row that has one, its parts added in order.
std::map<std::int32_t, std::vector<double>> dense(const RowGradients& g) {
  std::map<std::int32_t, std::vector<double>> sums;
  const std::vector<double> rows = doubles(g.rows);
  for (std::size_t e = 0; e < static_cast<std::size_t>(g.ids.size()); ++e) {
    const std::int32_t id = g.ids.host<std::int32_t>()[e];
    if (id < 0) continue;
    auto& sum = sums.try_emplace(id, std::vector<double>(kCols)).first->second;
    for (std::size_t c = 0; c < kCols; ++c) sum[c] += rows[e * kCols + c];
  }
  return sums;
}

TEST(SparseUpdate, AdagradIsTheFormulaOnRowsWithGradients) {
  const TableRows t = table(TableOptimizer::adagrad);
  const RowGradients g = gradients();
  std::vector<double> w = doubles(t.weights), v = doubles(t.v);
  for (const auto& [id, sum] : dense(g))
    for (std::size_t c = 0; c < kCols; ++c) {
      const std::size_t i = static_cast<std::size_t>(id) * kCols + c;
      const double d = kScale * sum[c];
      v[i] += d * d;
      w[i] -= kLr * d / (std::sqrt(v[i]) + kSettings.eps);
    }
  update(t, g);
  EXPECT_THAT(doubles(t.weights), testing::Pointwise(testing::DoubleNear(1e-14), w));
  EXPECT_THAT(doubles(t.v), testing::Pointwise(testing::DoubleNear(1e-14), v));
}

// A row with a gradient becomes what AdamW makes of it; others stay as they are.
TEST(SparseUpdate, AdamIsAdamWOnRowsWithGradients) {
  const TableRows t = table(TableOptimizer::adam), want = table(TableOptimizer::adam);
  const RowGradients g = gradients();
  const auto rates = adamw_rates(kSettings, kLr, kStep);
  for (const auto& [id, sum] : dense(g)) {
    const Tensor grad({kCols}, DType::f64);
    fill(grad, [&](std::size_t c) { return sum[c]; });
    const auto row = [id = id](const Tensor& of) { return of.slice(id * kCols, {kCols}); };
    adamw(std::vector{AdamWTensor{row(want.weights), row(want.weights), row(want.m), row(want.v),
                                  grad}},
          kSettings, numbers({rates.begin(), rates.end()}), numbers({kScale}));
  }
  update(t, g);
  EXPECT_LT(distance(t.weights, want.weights), 1e-14);
  EXPECT_LT(distance(t.m, want.m), 1e-14);
  EXPECT_LT(distance(t.v, want.v), 1e-14);
}

// The parts as a layout with another rank would have them.
TEST(SparseUpdate, AddsPartsInTheOrderGiven) {
  const TableRows t = table(TableOptimizer::adagrad), other = table(TableOptimizer::adagrad);
  const RowGradients g = gradients(), moved = gradients();
  const auto place = [](std::int64_t part) { return (part + 1) % kParts; };
  for (std::int64_t part = 0; part < kParts; ++part) {
    copy(g.ids.rows(part * kPart, (part + 1) * kPart),
         moved.ids.rows(place(part) * kPart, (place(part) + 1) * kPart));
    copy(g.rows.rows(part * kPart, (part + 1) * kPart),
         moved.rows.rows(place(part) * kPart, (place(part) + 1) * kPart));
  }
  update(t, g);
  update(other, {moved.ids, moved.rows, kPart, {1, 2, 0}});
  EXPECT_EQ(doubles(t.weights), doubles(other.weights));
}

TEST(SparseUpdate, WhereEntriesStandDoesNotMatter) {
  const TableRows t = table(TableOptimizer::adagrad), other = table(TableOptimizer::adagrad);
  const RowGradients g = gradients(), turned = gradients();
  for (std::int64_t part = 0; part < kParts; ++part)
    for (std::int64_t e = 0; e < kPart; ++e) {
      const std::int64_t from = part * kPart + e, to = part * kPart + kPart - 1 - e;
      set(turned.ids, to, at(g.ids, from));
      for (std::int64_t c = 0; c < kCols; ++c)
        set(turned.rows, to * kCols + c, at(g.rows, from * kCols + c));
    }
  update(t, g);
  update(other, turned);
  EXPECT_EQ(doubles(t.weights), doubles(other.weights));
}

}  // namespace
}  // namespace fusor::ops
