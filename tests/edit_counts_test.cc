#include "models/edit_counts.h"

#include <gmock/gmock.h>

#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>

#include "runtime/error.h"
#include "runtime/random.h"

namespace fusor {
namespace {

using Text = std::vector<std::int32_t>;

// The best of all alignments: of the fewest errors, and of these of the most hits.
EditCounts by_alignments(std::span<const std::int32_t> r, std::span<const std::int32_t> h) {
  if (r.empty()) return {.insertions = std::ssize(h)};
  if (h.empty()) return {.deletions = std::ssize(r)};
  EditCounts both = by_alignments(r.subspan(1), h.subspan(1));
  (r[0] == h[0] ? both.hits : both.substitutions) += 1;
  EditCounts left_out = by_alignments(r.subspan(1), h), put_in = by_alignments(r, h.subspan(1));
  left_out.deletions += 1, put_in.insertions += 1;
  return std::min({both, left_out, put_in}, [](const EditCounts& a, const EditCounts& b) {
    return std::pair(a.errors(), -a.hits) < std::pair(b.errors(), -b.hits);
  });
}

TEST(EditCounts, AreOfTheBestAlignment) {
  const RandomKey key = random_key(1, "texts");
  std::uint64_t at = 0;
  for (int i = 0; i < 300; ++i) {
    Text texts[2];
    for (Text& text : texts) {
      text.resize(random_bits(key, at++) % 7);
      for (std::int32_t& unit : text) unit = static_cast<std::int32_t>(random_bits(key, at++) % 3);
    }
    EXPECT_EQ(edit_counts(texts[0], texts[1]), by_alignments(texts[0], texts[1])) << i;
  }
}

TEST(EditCounts, PreferHits) {
  // ab -> bc: two substitutions, or a left out and c put in
  EXPECT_EQ(edit_counts(Text{1, 2}, Text{2, 3}),
            (EditCounts{.hits = 1, .deletions = 1, .insertions = 1}));
}

TEST(EditCounts, AreJiwersInNumber) {
  std::ifstream file(FUSOR_GOLDEN "/edits.json");
  for (const auto& row : nlohmann::json::parse(file)) {
    const std::string reference = row["reference"], hypothesis = row["hypothesis"];
    EXPECT_EQ(word_edits(reference, hypothesis).errors(), row["words"]) << row;
    EXPECT_EQ(character_edits(reference, hypothesis).errors(), row["characters"]) << row;
  }
}

TEST(EditCounts, OfTexts) {
  EXPECT_EQ(word_edits(" the  cat\tsat ", "the cat sat"), (EditCounts{.hits = 3}));
  EXPECT_EQ(character_edits(" the  cat ", "the cat"), (EditCounts{.hits = 7}));
  EXPECT_EQ(character_edits("één", "een"), (EditCounts{.hits = 1, .substitutions = 2}));
  EXPECT_EQ(word_edits("a b c", ""), (EditCounts{.deletions = 3}));
  EXPECT_THROW(character_edits("\xff", "a"), Error);
}

TEST(EditCounts, AddUpToARate) {
  EditCounts sum = word_edits("a b c", "a x c d");
  sum += word_edits("e", "");
  EXPECT_EQ(sum, (EditCounts{.hits = 2, .substitutions = 1, .deletions = 1, .insertions = 1}));
  EXPECT_DOUBLE_EQ(sum.rate(), 3 / 4.);
  EXPECT_EQ(word_edits("", "").rate(), 0);
  EXPECT_EQ(word_edits("", "a").rate(), std::numeric_limits<double>::infinity());
}

}  // namespace
}  // namespace fusor
