#include "io/transcript.h"

#include <gmock/gmock.h>

#include "tests/thrown_by.h"

namespace fusor {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(Transcript, IsComposedAndItsSpacesAreSingle) {
  EXPECT_EQ(normalized_transcript("  Een\t\u00a0 ve\u0301e,\n", false), "Een v\u00e9e,");
  EXPECT_EQ(normalized_transcript("", false), "");
}

TEST(Transcript, OfLettersOnly) {
  EXPECT_EQ(normalized_transcript("\u2018\u00c9\u00e9n\u2019, zei-ie: \"'t is 3 uur!\"", true),
            "\u00e9\u00e9n' zei ie 't is 3 uur");
  EXPECT_EQ(normalized_transcript("\u017dLU\u0164OU\u010cK\u00dd", true),
            "\u017elu\u0165ou\u010dk\u00fd");
  EXPECT_EQ(normalized_transcript("... !", true), "");
}

TEST(Transcript, RefusesWhatIsNotUtf8) {
  EXPECT_THAT(thrown_by([] { normalized_transcript("ab\xff", false); }),
              HasSubstr("byte 2 is not UTF-8"));
}

TEST(Labels, AreTheTextsUnits) {
  const std::vector<std::string> texts{"b\u00e9", "a b"};
  const Labels characters = Labels::of_texts(texts, TextUnits::characters),
               words = Labels::of_texts(texts, TextUnits::words),
               bytes = Labels::of_texts(texts, TextUnits::bytes);
  EXPECT_THAT(characters.names(),
              ElementsAre("<blank>", "<unk>", " ", "a", "b", "\u00e9", "<edge>"));
  EXPECT_THAT(words.names(), ElementsAre("<blank>", "<unk>", "a", "b", "b\u00e9", "<edge>"));
  EXPECT_EQ(bytes.names().size(), 8u);
  EXPECT_EQ(characters.edge(), 6);
  EXPECT_THAT(characters.of("\u00e9 ?a"), ElementsAre(5, 2, 1, 3));
  EXPECT_THAT(words.of("a c b"), ElementsAre(2, 1, 3));
  for (const Labels* labels : {&characters, &words, &bytes}) {
    const Labels read(labels->names(), labels == &words ? TextUnits::words : TextUnits::characters);
    for (const std::string& text : texts) EXPECT_EQ(read.text(labels->of(text)), text);
  }
  EXPECT_EQ(characters.text(std::vector<std::int32_t>{0, 3, 1, 6, 4}), "ab");
}

TEST(Labels, RefuseNamesOfSomethingElse) {
  EXPECT_THAT(thrown_by([] {
                Labels(std::vector<std::string>{"cat", "dog", "fish", "cow"}, TextUnits::words);
              }),
              HasSubstr("labels of speech are <blank>"));
  EXPECT_THAT(thrown_by([] { text_units_of("phones"); }), HasSubstr("\"phones\" are none of"));
}

}  // namespace
}  // namespace fusor
