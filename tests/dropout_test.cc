#include "ops/dropout.h"

#include <gmock/gmock.h>

#include "ops/drop_path.h"
#include "tests/near.h"

namespace fusor {
namespace {

constexpr KeyStem kStem{0x1234567890abcdef};
constexpr std::int64_t kStep = 3;

StepKey key() { return {kStem, step_number(kStep)}; }

Tensor ones(const Shape& shape) {
  const Tensor t(shape, DType::f32);
  fill(t, [](std::size_t) { return 1; });
  return t;
}

std::vector<double> dropped(const Tensor& x, double p, std::int64_t first_row) {
  return doubles(dropout(Var::input(x), p, key(), RowMap::whole(first_row, 1)).value());
}

TEST(Dropout, MaskIsTheDocumentedFunctionOfTheGlobalElement) {
  const std::int64_t rows = 5, cols = 37, first_row = 1'000'000'007;  // counters above 2^32
  const std::vector<double> y = dropped(ones({rows, cols}), 0.3, first_row);
  for (std::size_t i = 0; i < y.size(); ++i) {
    const bool keep = uniform(key_at(kStem, kStep), first_row * cols + i) >= 0.3f;
    ASSERT_FLOAT_EQ(static_cast<float>(y[i]), keep ? 1 / 0.7f : 0) << "element " << i;
  }
}

TEST(Dropout, SlicesOfAGlobalTensorDropTheSameElements) {
  const Tensor x = noise({40, 511}, DType::f32, 1);
  const std::vector<double> whole = dropped(x, 0.5, 100);
  for (const std::int64_t cut : {1, 7, 39}) {
    std::vector<double> parts = dropped(x.rows(0, cut), 0.5, 100);
    const std::vector<double> rest = dropped(x.rows(cut, 40), 0.5, 100 + cut);
    parts.insert(parts.end(), rest.begin(), rest.end());
    EXPECT_EQ(parts, whole) << "cut after row " << cut;
  }
}

TEST(Dropout, KeepsAShareOfOneMinusP) {
  for (const double p : {0.1, 0.5, 0.9}) {
    const std::vector<double> y = dropped(ones({200, 500}), p, 0);
    const auto zeros = static_cast<double>(std::ranges::count(y, 0.0));
    const double sigma = std::sqrt(p * (1 - p) * 1e5);
    EXPECT_NEAR(zeros, p * 1e5, 4 * sigma);
  }
}

TEST(Dropout, WithoutPIsTheIdentity) {
  const Tensor x = noise({3, 5}, DType::f32, 1);
  EXPECT_EQ(dropped(x, 0, 0), doubles(x));
  const Var y = dropout_add(Var::input(x), Var::input(x), 0, key(), {});
  for (std::int64_t i = 0; i < x.size(); ++i) EXPECT_EQ(at(y.value(), i), 2 * at(x, i));
}

TEST(Dropout, RefusesAProbabilityOutsideItsRange) {
  for (const double p : {-0.1, 1.0, std::nan("")}) EXPECT_THROW(dropped(ones({1, 1}), p, 0), Error);
}

// Of ones, added to zeros.
std::vector<double> passed_by(double p, const RowMap& map, std::int64_t rows) {
  const Tensor zeros = cast(ones({rows, 3}), DType::f64);
  fill(zeros, [](std::size_t) { return 0; });
  const Var x = Var::input(cast(ones({rows, 3}), DType::f64));
  return doubles(drop_path_add(Var::input(zeros), x, p, key(), map).value());
}

TEST(DropPath, KeepsOrDropsASampleWithAllItsRows) {
  const std::vector<double> y = passed_by(0.25, RowMap::whole(7, 5), 200);
  for (std::size_t i = 0; i < y.size(); ++i) {
    const bool keep = uniform(key_at(kStem, kStep), 7 + i / 15) >= 0.25f;
    ASSERT_DOUBLE_EQ(y[i], keep ? 1 / 0.75 : 0) << "element " << i;
  }
}

TEST(DropPath, SlicesOfABatchDropTheSameSamples) {
  const RowMap map = RowMap::whole(7, 5);
  std::vector<double> parts = passed_by(0.5, map, 77);
  const std::vector<double> rest = passed_by(0.5, map.rows_from(77), 123);
  parts.insert(parts.end(), rest.begin(), rest.end());
  EXPECT_EQ(parts, passed_by(0.5, map, 200));
}

TEST(DropPath, RefusesAProbabilityOutsideItsRange) {
  for (const double p : {-0.1, 1.0}) EXPECT_THROW(passed_by(p, {}, 1), Error);
}

}  // namespace
}  // namespace fusor
