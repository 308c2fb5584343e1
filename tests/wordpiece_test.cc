#include "io/wordpiece.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "io/file.h"
#include "io/json.h"
#include "io/utf8.h"
#include "io/words.h"
#include "tests/text_dataset.h"

namespace fusor::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

using Ids = std::vector<std::int32_t>;

std::vector<std::string> small_vocab() {
  return {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "un", "##aff", "##able", "##a", "a", "!"};
}

std::string pieces_of(const WordPiece& tokenizer, const Ids& ids) {
  std::string text;
  for (const std::int32_t id : ids) text += tokenizer.piece(id) + ' ';
  return text;
}

Ids ids_of(const WordPiece& tokenizer, std::string_view text) {
  Ids ids;
  tokenizer.encode(text, ids);
  return ids;
}

std::vector<std::string> words_of(std::string_view text, bool lower_case = true) {
  std::vector<std::string> words;
  for_each_word(text, lower_case, [&](std::string_view word) { words.emplace_back(word); });
  return words;
}

class WordPieceTest : public FolderTest {};

TEST_F(WordPieceTest, GivesTheIdsOfGooglesTokenizer) {
  const std::string file = FUSOR_GOLDEN "/wordpiece.json";
  const nlohmann::json golden = parse_json(read_text_file(file, 1 << 20), file);
  const auto pieces = golden.at("vocab").get<std::vector<std::string>>();
  ASSERT_GT(golden.at("cases").size(), 60);
  for (const bool lower_case : {true, false}) {
    const WordPiece tokenizer(pieces, file, {.lower_case = lower_case});
    for (const auto& row : golden.at("cases")) {
      const auto text = row.at("text").get<std::string>();
      const auto expected = row.at(lower_case ? "uncased" : "cased").get<Ids>();
      EXPECT_EQ(pieces_of(tokenizer, ids_of(tokenizer, text)), pieces_of(tokenizer, expected))
          << (lower_case ? "uncased: " : "cased: ") << row.at("text");
    }
  }
}

TEST_F(WordPieceTest, CutsWords) {
  EXPECT_THAT(words_of(" Don't\tStop—now "), ElementsAre("don", "'", "t", "stop", "—", "now"));
  EXPECT_THAT(words_of("Crème Brûlée", false), ElementsAre("Crème", "Brûlée"));
  EXPECT_THAT(words_of("ΟΔΟΣ ΟΔΟΣ.Α"), ElementsAre("οδος", "οδοσ", ".", "α"));
  EXPECT_THAT(words_of("\u0301"), ElementsAre());
}

TEST_F(WordPieceTest, TakesTheLongestPieceFirst) {
  const WordPiece tokenizer(small_vocab(), "vocab");
  EXPECT_EQ(pieces_of(tokenizer, ids_of(tokenizer, "Unaffable!")), "un ##aff ##able ! ");
  EXPECT_EQ(pieces_of(tokenizer, ids_of(tokenizer, "unaffab")), "[UNK] ");
  EXPECT_EQ(pieces_of(tokenizer, ids_of(tokenizer, "aa affable")), "a ##a [UNK] ");
  EXPECT_FALSE(tokenizer.continues(5));
  EXPECT_TRUE(tokenizer.continues(6));
}

TEST_F(WordPieceTest, WordsThatAreTooLongAreUnknown) {
  const WordPiece tokenizer(small_vocab(), "vocab", {.max_word_chars = 3});
  EXPECT_EQ(pieces_of(tokenizer, ids_of(tokenizer, "aaa ááá aaaa")), "a ##a ##a a ##a ##a [UNK] ");
}

TEST_F(WordPieceTest, ThreadsGiveWhatOneDoes) {
  const WordPiece tokenizer(small_vocab(), "vocab");
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < 101; ++i) texts.push_back(std::string(i % 7, 'a') + " unaffable");
  texts[50].clear();
  const std::vector<std::string_view> views(texts.begin(), texts.end());
  const TokenRows one = tokenizer.encode(views), four = tokenizer.encode(views, 4);
  EXPECT_EQ(one.ids, four.ids);
  EXPECT_EQ(one.offsets, four.offsets);
  ASSERT_EQ(one.offsets.size(), 102);
  EXPECT_EQ(one.offsets[50], one.offsets[51]);
  EXPECT_EQ(Ids(one.ids.begin() + one.offsets[100], one.ids.end()), ids_of(tokenizer, texts[100]));
}

TEST_F(WordPieceTest, ReadsAVocabulary) {
  write("vocab.txt", "[PAD]\r\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n##\nthe");
  const WordPiece tokenizer = WordPiece::read(path("vocab.txt"));
  EXPECT_EQ(tokenizer.size(), 7);
  EXPECT_EQ(tokenizer.mask(), 4);
  EXPECT_EQ(ids_of(tokenizer, "the thethe"), (Ids{6, 1}));
}

TEST_F(WordPieceTest, AVocabularyThatIsNoneIsRefusedInOneSentence) {
  const auto refusal = [&](const std::string& text) {
    write("vocab.txt", text);
    return thrown_by([&] { WordPiece::read(path("vocab.txt")); });
  };
  const std::string special = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n";
  EXPECT_THAT(refusal("the\n"), HasSubstr("vocab.txt holds no line [PAD]"));
  EXPECT_THAT(refusal(special + "a\n\nb\n"), HasSubstr("vocab.txt: line 7 is empty"));
  EXPECT_THAT(refusal(special + "a\nb\na\n"), HasSubstr("line 8 holds 'a' again, as line 6"));
  EXPECT_THAT(refusal(special + "\xff\n"), HasSubstr("line 6 is not UTF-8"));
}

TEST_F(WordPieceTest, BrokenUtf8IsAnErrorThatNamesTheByte) {
  const WordPiece tokenizer(small_vocab(), "vocab");
  EXPECT_THAT(thrown_by([&] { ids_of(tokenizer, "a é\xC3 b"); }), HasSubstr("byte 4"));
  const std::string_view texts[] = {"a", "a", "\xff"};
  EXPECT_THAT(thrown_by([&] { tokenizer.encode(texts, 3); }), HasSubstr("byte 0"));
}

TEST(Utf8, ValidBytes) {
  EXPECT_EQ(valid_utf8_bytes(""), 0);
  EXPECT_EQ(valid_utf8_bytes("plain ASCII of more than 8 bytes"), 32);
  EXPECT_EQ(valid_utf8_bytes("déjà vu 中 😀"), std::string("déjà vu 中 😀").size());
  EXPECT_EQ(valid_utf8_bytes("0123456789\xE4\xB8"), 10);      // cut short
  EXPECT_EQ(valid_utf8_bytes("ab\xC0\xAF"), 2);               // overlong
  EXPECT_EQ(valid_utf8_bytes("ab\xED\xA0\x80"), 2);           // a surrogate
  EXPECT_EQ(valid_utf8_bytes("ab\xF4\x90\x80\x80 abcd"), 2);  // beyond U+10FFFF
}

}  // namespace
}  // namespace fusor::testing
