#include "io/document_builder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "io/record_dataset.h"
#include "io/stored_vocab.h"
#include "tests/text_dataset.h"

namespace fusor::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class DocumentBuilder : public FolderTest {
 protected:
  DocumentBuildConfig config(const std::string& input) {
    write("vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nred\ngreen\n##s\nCafé\n,\n");
    return {
        .inputs = {path(input)}, .output = path("set"), .vocab = path("vocab.txt"), .held_out = {}};
  }
  std::string refusal(const DocumentBuildConfig& config) {
    return thrown_by([&] { build_document_dataset(config); });
  }
};

TEST_F(DocumentBuilder, ReadsATableOfTabs) {
  write("in.tsv", "text\tid\tlabel\nReds green\t1\twarm\r\n\ngreens\t2\tcold\nred\t3\twarm\n");
  const DocumentBuildReport report = build_document_dataset(config("in.tsv"));
  EXPECT_EQ(report.bad.count(), 0);
  const RecordDataset data(path("set"), "train");
  EXPECT_EQ(data.num_rows(), 3);
  EXPECT_THAT(data.field(1).names, ElementsAre("cold", "warm"));
  EXPECT_THAT(data.column<std::int32_t>(1), ElementsAre(1, 0, 1));
  EXPECT_THAT(data.read<std::uint16_t>(0, 0), ElementsAre(5, 7, 6));
  EXPECT_THAT(data.read<std::uint16_t>(0, 1), ElementsAre(6, 7));
  const StoredVocab vocab = vocab_of_attributes(data.field(0).attributes, "tokens");
  EXPECT_EQ(read_vocab(path("set"), vocab).piece(6), "green");
  EXPECT_TRUE(vocab.lower_case);
}

TEST_F(DocumentBuilder, ReadsAFolderForEachLabel) {
  write("in/b/x.txt", "red\nCafé");
  write("in/a/deep/y.txt", "green");
  write("in/a/z.txt", "red, red");
  DocumentBuildConfig cased = config("in");
  cased.lower_case = false;
  build_document_dataset(cased);
  const RecordDataset data(path("set"), "train");
  EXPECT_THAT(data.field(1).names, ElementsAre("a", "b"));
  EXPECT_THAT(data.column<std::int32_t>(1), ElementsAre(0, 0, 1));
  EXPECT_THAT(data.read<std::uint16_t>(0, 2), ElementsAre(5, 8));
}

TEST_F(DocumentBuilder, AGroupIsNeverTornApart) {
  std::string table = "label,text,group\n";
  for (int i = 0; i < 300; ++i)
    table += std::string(i % 2 ? "a" : "b") + ",red " + std::to_string(i) + ",g" +
             std::to_string(i / 3) + "\n";
  write("in.csv", table);
  DocumentBuildConfig split = config("in.csv");
  split.held_out = {.val = 0.2, .test = 0.2};
  build_document_dataset(split);
  std::set<std::uint64_t> groups;
  std::size_t sum = 0;
  for (const char* name : {"train", "val", "test"}) {
    const auto all = RecordDataset(path("set"), name).groups();
    const std::set<std::uint64_t> of_split(all.begin(), all.end());
    EXPECT_EQ(all.size(), 3 * of_split.size());
    sum += of_split.size();
    groups.insert(of_split.begin(), of_split.end());
  }
  EXPECT_EQ(sum, 100);
  EXPECT_EQ(groups.size(), 100);
}

TEST_F(DocumentBuilder, ABadDocumentIsNamedOrSkippedAndCounted) {
  write("in.tsv", "label\ttext\na\tred\nb\t \nb\tred \xff\n\tred\ngreen\tgreen\n");
  DocumentBuildConfig bad = config("in.tsv");
  EXPECT_THAT(refusal(bad), HasSubstr("in.tsv line 3 holds no word"));
  bad.on_bad_sample = OnBadSample::skip;
  const DocumentBuildReport report = build_document_dataset(bad);
  EXPECT_EQ(report.bad.count(), 3);
  EXPECT_EQ(RecordDataset(path("set"), "train").num_rows(), 2);
}

TEST_F(DocumentBuilder, EachMistakeIsOneSentence) {
  write("in.tsv", "label\ttext\na\tred \xff\nb\tred\n");
  EXPECT_THAT(refusal(config("in.tsv")),
              HasSubstr("in.tsv line 2: byte 4 of the text is not UTF-8"));
  write("in.tsv", "label\tbody\na\tred\n");
  EXPECT_THAT(refusal(config("in.tsv")),
              HasSubstr("in.tsv has no column 'text'; it has label, body"));
  write("in.tsv", "label\ttext\na\tred\n");
  EXPECT_THAT(refusal(config("in.tsv")), HasSubstr("the input has 1 labels"));
  write("in.csv", "label,text\na,\"red\n");
  EXPECT_THAT(refusal(config("in.csv")), HasSubstr("in.csv line 2: a quote is not closed"));
  std::filesystem::create_directories(path("flat"));
  EXPECT_THAT(refusal(config("flat")), HasSubstr("holds no folders"));
  EXPECT_FALSE(std::filesystem::exists(path("set")));
}

}  // namespace
}  // namespace fusor::testing
