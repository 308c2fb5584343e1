#include "models/confusion.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "io/file.h"
#include "io/json.h"
#include "tests/thrown_by.h"

namespace fusor {
namespace {

using testing::HasSubstr;

void expect_scores(const ConfusionMatrix::Scores& got, const std::vector<double>& want) {
  EXPECT_NEAR(got.precision, want.at(0), 1e-12);
  EXPECT_NEAR(got.recall, want.at(1), 1e-12);
  EXPECT_NEAR(got.f1, want.at(2), 1e-12);
}

TEST(Confusion, IsScikitLearns) {
  const std::string file = FUSOR_GOLDEN "/confusion.json";
  for (const auto& row : parse_json(read_text_file(file, 1 << 20), file)) {
    const auto truth = row.at("truth").get<std::vector<std::int64_t>>(),
               told = row.at("told").get<std::vector<std::int64_t>>();
    const auto classes = row.at("classes").get<std::int64_t>();
    ConfusionMatrix first(classes), rest(classes);
    for (std::size_t i = 0; i < truth.size(); ++i)
      (i < truth.size() / 3 ? first : rest).add(truth[i], told[i]);
    first.add(rest);
    for (std::int64_t t = 0; t < classes; ++t) {
      for (std::int64_t p = 0; p < classes; ++p)
        EXPECT_EQ(first.count(t, p), row.at("matrix")[t][p].get<std::int64_t>());
      expect_scores(first.scores(t), row.at("each")[t].get<std::vector<double>>());
    }
    EXPECT_EQ(first.samples(), std::ssize(truth));
    EXPECT_NEAR(first.accuracy(), row.at("accuracy").get<double>(), 1e-12);
    expect_scores(first.macro(), row.at("macro").get<std::vector<double>>());
    expect_scores(first.micro(), row.at("micro").get<std::vector<double>>());
  }
}

TEST(Confusion, OfNothingIsNothing) {
  const ConfusionMatrix none(3);
  EXPECT_EQ(none.accuracy(), 0);
  expect_scores(none.macro(), {0, 0, 0});
}

TEST(Confusion, TellsWhatIsWrong) {
  EXPECT_THAT(thrown_by([] { ConfusionMatrix(0); }), HasSubstr("of 0 classes"));
  EXPECT_THAT(thrown_by([] { ConfusionMatrix(3).add(0, 3); }), HasSubstr("class 3 is not one of"));
  EXPECT_THAT(thrown_by([] { ConfusionMatrix(3).add(ConfusionMatrix(2)); }), HasSubstr("3 and 2"));
}

TEST(Largest, IsTheFirstOfEqualOnes) {
  EXPECT_EQ(largest(std::vector<float>{1, 3, 3, -1}), 1);
  EXPECT_THAT(thrown_by([] { largest({}); }), HasSubstr("no logits"));
  const std::vector<float> broken{1, std::numeric_limits<float>::quiet_NaN()};
  EXPECT_THAT(thrown_by([&] { largest(broken); }), HasSubstr("not a number"));
}

}  // namespace
}  // namespace fusor
