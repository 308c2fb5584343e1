#include "models/beam_search.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>

#include "runtime/error.h"
#include "runtime/random.h"

namespace fusor {
namespace {

using Text = std::vector<std::int32_t>;
constexpr std::int32_t kVocab = 4, kStart = 3, kEnd = 0;

// A decoder whose log-probabilities are drawn for each prefix.
std::vector<float> next_tokens(std::span<const Text> prefixes) {
  std::vector<float> all;
  for (const Text& prefix : prefixes) {
    std::uint64_t number = 1;
    for (const std::int32_t token : prefix) number = 5 * number + static_cast<std::uint64_t>(token);
    double sum = 0;
    std::vector<float> x;
    for (std::uint64_t v = 0; v < kVocab; ++v)
      x.push_back(3 * uniform(random_key(number, "next"), v));
    for (const float v : x) sum += std::exp(v);
    for (const float v : x) all.push_back(v - static_cast<float>(std::log(sum)));
  }
  return all;
}

// All texts of at most max_length tokens, best first.
void add_texts(const BeamSearchConfig& config, const Text& prefix, double score,
               std::vector<Hypothesis>& to) {
  const std::vector<float> p = next_tokens({&prefix, 1});
  const auto tokens = static_cast<double>(prefix.size() - 1);
  to.push_back({{prefix.begin() + 1, prefix.end()},
                (score + p[kEnd]) / std::pow(tokens + 1, config.length_power)});
  if (std::ssize(prefix) - 1 == config.max_length) return;
  for (std::int32_t v = 0; v < kVocab; ++v) {
    if (v == kEnd) continue;
    Text longer = prefix;
    longer.push_back(v);
    add_texts(config, longer, score + p[static_cast<std::size_t>(v)], to);
  }
}

TEST(BeamSearch, ThatIsWideEnoughFindsTheBestTexts) {
  for (const double power : {0., 0.6, 1.}) {
    const BeamSearchConfig config{
        .start = kStart, .end = kEnd, .width = 300, .max_length = 4, .length_power = power};
    std::vector<Hypothesis> want;
    add_texts(config, {kStart}, 0, want);
    std::ranges::sort(want, [](const auto& a, const auto& b) { return a.score > b.score; });
    const std::vector<Hypothesis> got = beam_search(next_tokens, config);
    ASSERT_EQ(got.size(), want.size());
    for (std::size_t i = 0; i < want.size(); ++i) {
      EXPECT_EQ(got[i].labels, want[i].labels);
      EXPECT_NEAR(got[i].score, want[i].score, 1e-9);
    }
  }
}

TEST(BeamSearch, StopsEarlyAndGivesWhatItWouldHave) {
  std::int64_t calls = 0;
  const auto counted = [&](std::span<const Text> prefixes) {
    ++calls;
    return next_tokens(prefixes);
  };
  const BeamSearchConfig config{.start = kStart, .end = kEnd, .width = 2, .max_length = 50};
  EXPECT_EQ(beam_search(counted, config).size(), 2u);
  EXPECT_LT(calls, 51);
}

TEST(BeamSearch, OfWidthOneIsGreedy) {
  const BeamSearchConfig config{.start = kStart, .end = kEnd, .width = 1, .max_length = 3};
  const Hypothesis got = beam_search(next_tokens, config).at(0);
  Text prefix{kStart};
  for (const std::int32_t token : got.labels) {
    const std::vector<float> p = next_tokens({&prefix, 1});
    EXPECT_EQ(*std::max_element(p.begin() + 1, p.end()), p[static_cast<std::size_t>(token)]);
    prefix.push_back(token);
  }
}

TEST(BeamSearch, OfNoTokenIsTheEmptyText) {
  const auto found = beam_search(next_tokens, {.start = kStart, .end = kEnd, .max_length = 0});
  ASSERT_EQ(found.size(), 1u);
  EXPECT_THAT(found[0].labels, testing::IsEmpty());
}

TEST(Rescored, OrdersByTheWeightedSum) {
  const std::vector<Hypothesis> of_ctc{{{1}, -1}, {{2}, -2}, {{3}, -3}};
  const std::vector<Hypothesis> got = rescored(of_ctc, std::vector{-9., -4., -2.}, 0.25);
  EXPECT_EQ(got[0].labels, Text{3});
  EXPECT_DOUBLE_EQ(got[0].score, 0.25 * -3 + 0.75 * -2);
  EXPECT_EQ(got[2].labels, Text{1});
  EXPECT_THROW(rescored(of_ctc, std::vector{1.}, 0.5), Error);
}

}  // namespace
}  // namespace fusor
