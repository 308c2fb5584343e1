#include "models/ctc_decoding.h"

#include <gmock/gmock.h>

#include <cmath>
#include <map>

#include "runtime/error.h"
#include "runtime/random.h"

namespace fusor {
namespace {

using Text = std::vector<std::int32_t>;

std::vector<float> noise(std::int64_t size, std::uint64_t seed) {
  std::vector<float> x(static_cast<std::size_t>(size));
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = 4 * uniform(random_key(seed, "logits"), i) - 2;
  return x;
}

double log_softmax(const CtcOutput& o, std::int64_t t, std::int32_t label) {
  const auto row =
      o.logits.subspan(static_cast<std::size_t>(t * o.vocab), static_cast<std::size_t>(o.vocab));
  double sum = 0;
  for (const double x : row) sum += std::exp(x);
  return row[static_cast<std::size_t>(label)] - std::log(sum);
}

// Every text with its probability, by the sum over all paths.
std::map<Text, double> by_paths(const CtcOutput& o) {
  std::map<Text, double> texts;
  for (std::int64_t i = 0; i < std::llround(std::pow(o.vocab, o.frames())); ++i) {
    Text text;
    double log_p = 0;
    std::int32_t before = o.blank;
    for (std::int64_t t = 0, rest = i; t < o.frames(); ++t, rest /= o.vocab) {
      const auto label = static_cast<std::int32_t>(rest % o.vocab);
      log_p += log_softmax(o, t, label);
      if (label != o.blank && label != before) text.push_back(label);
      before = label;
    }
    texts[text] += std::exp(log_p);
  }
  return texts;
}

TEST(CtcPrefixBeam, ThatIsWideEnoughFindsEveryText) {
  for (const std::int32_t blank : {0, 1, 2})
    for (std::uint64_t seed = 0; seed < 5; ++seed) {
      const std::vector<float> logits = noise(5 * 3, seed);
      const CtcOutput output{logits, 3, blank};
      const std::map<Text, double> want = by_paths(output);
      const std::vector<Hypothesis> got = ctc_prefix_beam(output, {.width = 1000});
      ASSERT_EQ(got.size(), want.size());
      for (std::size_t i = 0; i < got.size(); ++i) {
        EXPECT_NEAR(std::exp(got[i].score), want.at(got[i].labels), 1e-12);
        EXPECT_GE(got[i > 0 ? i - 1 : 0].score, got[i].score);
      }
    }
}

TEST(CtcPrefixBeam, FindsTheBestTextWhereTheBestPathIsAnothers) {
  // Blank .6, a .4 in both frames: the path of blanks has .36, the three paths of "a" .64.
  const std::vector<float> logits{std::log(0.6f), std::log(0.4f), std::log(0.6f), std::log(0.4f)};
  const CtcOutput output{logits, 2, 0};
  EXPECT_THAT(ctc_greedy(output).labels, testing::IsEmpty());
  EXPECT_NEAR(ctc_greedy(output).score, std::log(0.36), 1e-6);
  const std::vector<Hypothesis> found = ctc_prefix_beam(output, {.width = 2});
  EXPECT_THAT(found[0].labels, testing::ElementsAre(1));
  EXPECT_NEAR(found[0].score, std::log(0.64), 1e-6);
  EXPECT_EQ(ctc_prefix_beam(output, {.width = 1}).size(), 1u);
}

TEST(CtcPrefixBeam, GrowsByTheMostProbableLabels) {
  const std::vector<float> logits = noise(4 * 6, 1);
  const CtcOutput output{logits, 6, 5};
  const auto found = [&](std::int64_t labels) {
    return ctc_prefix_beam(output, {.width = 10000, .labels_per_frame = labels}).size();
  };
  EXPECT_LT(found(2), found(4));
  EXPECT_EQ(found(6), found(0));
}

TEST(CtcGreedy, MakesRunsOneAndDropsBlanks) {
  const Text path{2, 1, 1, 2, 1, 0, 0, 2};
  std::vector<float> logits(path.size() * 3);
  for (std::size_t t = 0; t < path.size(); ++t)
    logits[t * 3 + static_cast<std::size_t>(path[t])] = 5;
  EXPECT_THAT(ctc_greedy({logits, 3, 2}).labels, testing::ElementsAre(1, 1, 0));
  EXPECT_THAT(ctc_greedy({logits, 3, 0}).labels, testing::ElementsAre(2, 1, 2, 1, 2));
}

TEST(CtcDecoding, OfNoFrameIsTheEmptyText) {
  EXPECT_THAT(ctc_greedy({{}, 3, 0}).labels, testing::IsEmpty());
  EXPECT_EQ(ctc_prefix_beam({{}, 3, 0}, {}).size(), 1u);
}

TEST(CtcDecoding, RefusesWhatMakesNoSense) {
  const std::vector<float> logits(6);
  EXPECT_THROW(ctc_greedy({logits, 4, 0}), Error);
  EXPECT_THROW(ctc_greedy({logits, 3, 3}), Error);
  EXPECT_THROW(ctc_prefix_beam({logits, 3, 0}, {.width = 0}), Error);
  EXPECT_THROW(ctc_greedy({std::vector<float>{1, NAN}, 2, 0}), Error);
}

}  // namespace
}  // namespace fusor
