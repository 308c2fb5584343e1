#include "io/vocab_builder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "io/wordpiece.h"
#include "tests/text_dataset.h"

namespace fusor::testing {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class VocabBuilder : public FolderTest {
 protected:
  std::vector<std::string> vocab(const std::string& text, VocabConfig config) {
    config.inputs = {write("in.txt", text)};
    return build_vocab(config).pieces;
  }
};

std::string repeated(const std::string& text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) all += text;
  return all;
}

TEST_F(VocabBuilder, BeginsWithSpecialPiecesThenCharactersThenWhatIsJoined) {
  const auto pieces = vocab(repeated("low lower lowest!\n", 50), {.size = 26});
  const std::vector<std::string> first(pieces.begin(), pieces.begin() + 5);
  EXPECT_THAT(first, ElementsAre("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"));
  for (const char c : std::string("lowerst")) {
    EXPECT_THAT(pieces, Contains(std::string(1, c)));
    EXPECT_THAT(pieces, Contains("##" + std::string(1, c)));
  }
  EXPECT_THAT(pieces, Contains("!"));
  EXPECT_THAT(pieces, Not(Contains("##!")));
  EXPECT_THAT(pieces, Contains("low"));
  EXPECT_EQ(pieces.size(), 26);
}

TEST_F(VocabBuilder, NoWordOfItsTextIsUnknown) {
  const std::string text = numbered_documents(40) + repeated("Ünïted 中国 ΣΑΣ\n", 40);
  const WordPiece tokenizer(vocab(text, {.size = 120}), "vocab");
  std::vector<std::int32_t> ids;
  tokenizer.encode(text, ids);
  EXPECT_THAT(ids, Not(Contains(tokenizer.unk())));
}

TEST_F(VocabBuilder, KeepsCapitalsWhereAsked) {
  EXPECT_THAT(vocab(repeated("Über uber\n", 9), {.size = 30, .lower_case = false}), Contains("Ü"));
  EXPECT_THAT(vocab(repeated("Über uber\n", 9), {.size = 30}), Not(Contains("Ü")));
}

TEST_F(VocabBuilder, GivesFewerPiecesWhereThereIsNoMoreToJoin) {
  EXPECT_LT(vocab("one two\n", {.size = 1000}).size(), 40);
}

TEST_F(VocabBuilder, RefusesInOneSentence) {
  const auto refusal = [&](const std::string& text, const VocabConfig& config) {
    return thrown_by([&] { vocab(text, config); });
  };
  EXPECT_THAT(refusal(" \n", {}), HasSubstr("holds no word"));
  EXPECT_THAT(refusal("abcdefgh ijklm", {.size = 10}),
              StartsWith("a vocabulary of 10 pieces has no room for the characters of the input, "
                         "the nearest that works: 31"));
  EXPECT_THAT(refusal("a\nb\xff\n", {}), HasSubstr("in.txt: line 2 is not UTF-8"));
  EXPECT_THAT(refusal("a", {.size = 0}), HasSubstr("not 0"));
}

TEST_F(VocabBuilder, SkipsAndCountsBrokenLines) {
  write("in.txt", "a\nb\xff\nc\n\xff");
  const VocabReport report =
      build_vocab({.inputs = {path("in.txt")}, .size = 20, .on_bad_sample = OnBadSample::skip});
  EXPECT_EQ(report.bad_lines.count(), 2);
  EXPECT_THAT(report.bad_lines.first(), HasSubstr("in.txt: line 2"));
  EXPECT_EQ(report.num_words, 2);
}

}  // namespace
}  // namespace fusor::testing
