// Filtered ranks against a count by hand, whole and with the candidates shared by ranks.
#include "ops/filtered_ranks.h"

#include <gmock/gmock.h>

#include <cmath>

#include "tests/near.h"

namespace fusor::ops {
namespace {

using testing::ElementsAre;
using Counts = std::vector<std::int64_t>;

constexpr std::int64_t kRows = 6, kCols = 40, kKnown = 7;

// Few different scores, so that many are equal.
Tensor few_scores() {
  const Tensor ids = noise_ids({kRows, kCols}, 5, 1);
  return cast(ids, DType::f32);
}

// The true answer, then some others, then none.
Tensor known_answers() {
  const Tensor known({kRows, kKnown}, DType::i32);
  fill(known, [](std::size_t i) {
    const auto row = static_cast<std::int64_t>(i) / kKnown,
               k = static_cast<std::int64_t>(i) % kKnown;
    return k > row ? -1.0 : static_cast<double>((row * 5 + k * 11) % kCols);
  });
  return known;
}

std::int32_t id_at(const Tensor& t, std::int64_t i) {
  return t.host<std::int32_t>()[static_cast<std::size_t>(i)];
}

Tensor answers_of(const Tensor& known) {
  const Tensor answers({kRows}, DType::i32);
  fill(answers, [&](std::size_t r) { return id_at(known, static_cast<std::int64_t>(r) * kKnown); });
  return answers;
}

Counts ranks(const Tensor& scores, const Tensor& truth, const Tensor& known, std::int64_t first) {
  const Tensor counts({scores.dim(0), 2}, DType::i64);
  filtered_ranks(scores, truth, known, first, counts);
  const auto found = counts.host<std::int64_t>();
  return {found.begin(), found.end()};
}

Counts by_hand(const Tensor& scores, const Tensor& known) {
  Counts counts(2 * kRows);
  for (std::int64_t r = 0; r < kRows; ++r) {
    const double truth = at(scores, r * kCols + id_at(known, r * kKnown));
    for (std::int64_t c = 0; c < kCols; ++c) {
      bool is_known = false;
      for (std::int64_t k = 0; k < kKnown; ++k) is_known |= id_at(known, r * kKnown + k) == c;
      const double score = at(scores, r * kCols + c);
      if (!is_known && score >= truth)
        ++counts[static_cast<std::size_t>(2 * r + (score > truth ? 0 : 1))];
    }
  }
  return counts;
}

TEST(FilteredRanks, AreThoseOfACountByHand) {
  const Tensor scores = few_scores(), known = known_answers(), truth({kRows}, DType::f32);
  own_scores(scores, answers_of(known), 0, truth);
  EXPECT_EQ(ranks(scores, truth, known, 0), by_hand(scores, known));
}

TEST(FilteredRanks, OfSharedCandidatesAddUp) {
  const Tensor scores = few_scores(), known = known_answers(), answers = answers_of(known);
  const Tensor truth({kRows}, DType::f32);
  fill(truth, [](std::size_t) { return 0; });
  struct Share {
    std::int64_t first;
    Tensor scores;
  };
  std::vector<Share> shares;
  for (const auto& [first, count] : {std::pair(0, 13), std::pair(13, 27)}) {
    const Tensor mine({kRows, count}, DType::f32);
    fill(mine, [&, f = first, n = count](std::size_t i) {
      return at(scores,
                static_cast<std::int64_t>(i) / n * kCols + f + static_cast<std::int64_t>(i) % n);
    });
    shares.push_back({first, mine});
    const Tensor own({kRows}, DType::f32);
    own_scores(mine, answers, first, own);
    fill(truth, [before = doubles(truth), more = doubles(own)](std::size_t r) {
      return before[r] + more[r];
    });
  }
  Counts sum(2 * kRows);
  for (const Share& share : shares) {
    const Counts counts = ranks(share.scores, truth, known, share.first);
    for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += counts[i];
  }
  EXPECT_EQ(sum, by_hand(scores, known));
}

TEST(FilteredRanks, WhatIsNotANumberIsBetter) {
  const Tensor scores({1, 3}, DType::f32), truth({1}, DType::f32), known({1, 1}, DType::i32);
  fill(scores, [](std::size_t i) { return i == 1 ? NAN : 0.0; });
  fill(known, [](std::size_t) { return 0; });
  own_scores(scores, known.view({1}), 0, truth);
  EXPECT_THAT(ranks(scores, truth, known, 0), ElementsAre(1, 1));
}

TEST(FilteredRanks, AreAddedUpAsMeasures) {
  const Tensor counts({4, 2}, DType::i64), answers({4}, DType::i32), sums({kRankSums}, DType::f64);
  const std::int64_t of_queries[] = {0, 0, 1, 3, 9, 0, 5, 5};  // ranks 1, 3.5, 10 and one left out
  std::ranges::copy(of_queries, counts.host<std::int64_t>().begin());
  fill(answers, [](std::size_t i) { return i < 3 ? 7.0 : -1.0; });
  rank_sums(counts, answers, sums);
  EXPECT_THAT(doubles(sums), ElementsAre(testing::DoubleEq(std::log(35.0)),
                                         testing::DoubleEq(1 + 1 / 3.5 + 0.1), 14.5, 1, 1, 3));
}

}  // namespace
}  // namespace fusor::ops
