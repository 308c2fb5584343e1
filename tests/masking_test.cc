#include "io/masking.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <numeric>

#include "runtime/target.h"
#include "tests/thrown_by.h"

namespace fusor::testing {
namespace {

using ::testing::Each;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;

constexpr std::int32_t kPad = 0, kCls = 2, kSep = 3, kMask = 4;
constexpr std::int32_t kFirstWord = 5, kWords = 400;  // then as many pieces that continue

WordPiece vocabulary() {
  std::vector<std::string> pieces{"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};
  for (int i = 0; i < kWords; ++i) pieces.push_back("w" + std::to_string(i));
  for (int i = 0; i < kWords; ++i) pieces.push_back("##w" + std::to_string(i));
  return {pieces, "vocab"};
}

struct Masked {
  std::vector<std::int32_t> tokens, positions, targets;
  std::int64_t count() const {
    return std::ssize(targets) - std::ranges::count(targets, kIgnoredTarget);
  }
};

Masked masked(const MaskingConfig& config, std::uint64_t sample,
              const std::vector<std::int32_t>& tokens, std::uint64_t seed = 1) {
  const auto capacity = static_cast<std::size_t>(config.capacity);
  Masked m{tokens, std::vector<std::int32_t>(capacity, 99),
           std::vector<std::int32_t>(capacity, 99)};
  Masking(config, vocabulary())(random_key(seed, "mask"), sample, m.tokens, m.positions, m.targets);
  return m;
}

// [CLS] 100 words [SEP] [PAD]...
std::vector<std::int32_t> sequence() {
  std::vector<std::int32_t> tokens(128, kPad);
  std::iota(tokens.begin() + 1, tokens.begin() + 101, kFirstWord);
  tokens[0] = kCls;
  tokens[101] = kSep;
  return tokens;
}

TEST(Masking, HidesSomeTokensAndTellsWhatTheyWere) {
  const std::vector<std::int32_t> tokens = sequence();
  const Masked m = masked({.capacity = 20}, 7, tokens);
  ASSERT_EQ(m.count(), 15);
  std::vector<std::int32_t> restored = m.tokens;
  for (std::size_t i = 0; i < 15; ++i) {
    const auto p = static_cast<std::size_t>(m.positions[i]);
    EXPECT_EQ(m.targets[i], tokens[p]);
    EXPECT_GE(p, 1);
    EXPECT_LE(p, 100);
    restored[p] = m.targets[i];
    EXPECT_TRUE(i == 0 || m.positions[i - 1] < m.positions[i]);
  }
  EXPECT_EQ(restored, tokens);
  EXPECT_THAT(std::vector(m.targets.begin() + 15, m.targets.end()), Each(kIgnoredTarget));
  EXPECT_THAT(std::vector(m.positions.begin() + 15, m.positions.end()), Each(0));
}

TEST(Masking, IsAFunctionOfKeySampleAndTokens) {
  const auto positions = [](std::uint64_t sample, std::uint64_t seed) {
    return masked({.capacity = 20}, sample, sequence(), seed).positions;
  };
  EXPECT_EQ(positions(7, 1), positions(7, 1));
  EXPECT_NE(positions(7, 1), positions(8, 1));
  EXPECT_NE(positions(7, 1), positions(7, 2));
}

TEST(Masking, NeverTakesMoreThanThereIsRoomFor) {
  EXPECT_EQ(masked({.capacity = 5}, 0, sequence()).count(), 5);
  EXPECT_EQ(masked({.rate = 1, .capacity = 120}, 0, sequence()).count(), 100);
}

TEST(Masking, ChoosesOneOfFewAndNoneOfNone) {
  EXPECT_EQ(masked({.capacity = 5}, 0, {kCls, kFirstWord, kSep}).count(), 1);
  EXPECT_EQ(masked({.capacity = 5}, 0, {kCls, kSep, kPad}).count(), 0);
}

TEST(Masking, ShowsEightOfTenAsMaskOneAsRandomOneAsItIs) {
  std::map<std::string, double> share;
  std::map<std::int32_t, int> times;  // how often a position was chosen
  constexpr int kSamples = 2000;
  for (std::uint64_t sample = 0; sample < kSamples; ++sample) {
    const Masked m = masked({.capacity = 20}, sample, sequence());
    for (std::size_t i = 0; i < 15; ++i) {
      const std::int32_t token = m.tokens[static_cast<std::size_t>(m.positions[i])];
      share[token == kMask          ? "mask"
            : token == m.targets[i] ? "same"
                                    : "random"] += 1.0 / (15 * kSamples);
      ++times[m.positions[i]];
    }
  }
  EXPECT_NEAR(share["mask"], 0.8, 0.01);  // four standard deviations
  EXPECT_NEAR(share["same"], 0.1, 0.007);
  EXPECT_NEAR(share["random"], 0.1, 0.007);
  for (std::int32_t p = 1; p <= 100; ++p) EXPECT_NEAR(times[p], 300, 70);
}

TEST(Masking, WholeWordsStayTogether) {
  std::vector<std::int32_t> tokens{kCls};
  for (std::int32_t word = 0; word < 30; ++word)
    for (std::int32_t piece = 0; piece <= word % 3; ++piece)
      tokens.push_back(kFirstWord + word + (piece > 0 ? kWords : 0));
  tokens.push_back(kSep);
  for (std::uint64_t sample = 0; sample < 50; ++sample) {
    const Masked m = masked({.whole_words = true, .capacity = 9}, sample, tokens);
    std::map<std::int32_t, int> pieces;  // of each word
    for (std::int64_t i = 0; i < m.count(); ++i)
      ++pieces[(m.targets[static_cast<std::size_t>(i)] - kFirstWord) % kWords];
    for (const auto& [word, count] : pieces) EXPECT_EQ(count, word % 3 + 1);
    EXPECT_GE(m.count(), 7);
  }
}

TEST(Masking, ItsNumbersStayAsTheyAre) {
  const Masked m = masked({.capacity = 4}, 3, {kCls, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, kSep});
  EXPECT_THAT(m.positions, ElementsAreArray({3, 8, 0, 0}));
  EXPECT_THAT(m.targets, ElementsAreArray({12, 17, kIgnoredTarget, kIgnoredTarget}));
}

TEST(Masking, RefusesWhatMakesNoSense) {
  const auto refusal = [](const MaskingConfig& config) {
    return thrown_by([&] { masked(config, 0, sequence()); });
  };
  EXPECT_THAT(refusal({.rate = 0, .capacity = 1}), HasSubstr("in (0, 1], not 0"));
  EXPECT_THAT(refusal({.as_mask = 0.8, .as_random = 0.3, .capacity = 1}), HasSubstr("0.3"));
  EXPECT_THAT(refusal({}), HasSubstr("not 0"));
}

}  // namespace
}  // namespace fusor::testing
