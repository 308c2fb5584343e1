#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <iostream>
#include <sstream>

#include "io/record_writer.h"
#include "launch/commands.h"
#include "tests/text_dataset.h"

namespace fusor::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class DataCommand : public FolderTest {
 protected:
  // What `fusor data ARGS` prints; an Error comes through.
  static std::string run(const std::vector<std::string>& args) {
    std::ostringstream printed;
    auto* const before = std::cout.rdbuf(printed.rdbuf());
    const auto restore = [&](void*) { std::cout.rdbuf(before); };
    const std::unique_ptr<void, decltype(restore)> guard(before, restore);
    EXPECT_EQ(data_command(args), 0);
    return printed.str();
  }
  static std::string refusal(const std::vector<std::string>& args) {
    return thrown_by([&] { run(args); });
  }
};

TEST_F(DataCommand, PacksInspectsAndVerifies) {
  write("in/one.txt", numbered_documents(50));
  write("in/two.txt", "\t\"quoted\"\n\n\n\nend");
  const std::string set = path("set");
  EXPECT_THAT(run({"text", "--input", path("in/one.txt"), path("in/two.txt"), "--output", set,
                   "--separator", "\\n\\x0a", "--val-fraction", "0.2", "--split-seed", "3"}),
              AllOf(HasSubstr("packed 2 files into " + set), HasSubstr("1 empty document dropped"),
                    HasSubstr(" documents, "), HasSubstr(", 1 shard\n")));
  EXPECT_EQ(read_manifest(set).separator, "\n\n");
  EXPECT_THAT(run({"inspect", set}),
              AllOf(StartsWith(set + ": text, tokenizer bytes, vocabulary 256, stored as u8"),
                    HasSubstr("separator \"\\n\\n\""), HasSubstr("train[0], "),
                    HasSubstr(": \"document 0:\\n\\n\"\n")));
  EXPECT_THAT(run({"verify", set}), HasSubstr("train-00000.h5  ok\n"));
}

TEST_F(DataCommand, InspectsAndVerifiesRecords) {
  const std::string set = path("set");
  RecordWriter writer(
      {.output = set,
       .fields = {{.name = "label", .type = ElementType::i32, .names = {"cat", "dog"}},
                  {.name = "sound", .type = ElementType::i16, .ragged = true},
                  {.name = "caption", .ragged = true, .attributes = {{"encoding", "utf-8"}}}}});
  const std::vector<std::int16_t> sound{-3, 5};
  writer.add(1, {1, sound, std::string_view("a \"dog\"\n")});
  writer.add(2, {0, {}, std::string_view("")});
  writer.finish();
  EXPECT_THAT(
      run({"inspect", set}),
      AllOf(StartsWith(set + ": records of 3 fields\n"),
            HasSubstr("label       i32, 2 names: cat, dog\n"),
            HasSubstr("sound       i16, of any length\n"),
            HasSubstr("train       2 rows, 1 shard, sound of 2 in all, caption of 8 in all"),
            HasSubstr(" 1 with label + caption\n"),
            HasSubstr("train[0], label 1 (dog), sound -3 5, caption \"a \\\"dog\\\"\\n\"\n"),
            HasSubstr("train[1], label 0 (cat), caption \"\"\n")));
  EXPECT_THAT(run({"verify", set}), HasSubstr("train-00000.h5  ok\n"));
  std::filesystem::resize_file(set + "/train-00000.h5", 100);
  EXPECT_THAT(refusal({"verify", set}), HasSubstr("train-00000.h5 is truncated"));
}

TEST_F(DataCommand, CatGivesBackEveryDocumentOnce) {
  const std::string text = numbered_documents(50);
  write("in.txt", text);
  run({"text", "--input", path("in.txt"), "--output", path("set")});
  const std::string train = run({"cat", path("set"), "--split", "train"});
  const std::string val = run({"cat", path("set")});
  EXPECT_EQ(train.size() + val.size(), text.size());
  for (int i = 0; i < 50; ++i) {
    const std::string document = "document " + std::to_string(i) + ":";
    EXPECT_NE(train.find(document) == std::string::npos, val.find(document) == std::string::npos);
  }
  EXPECT_THAT(refusal({"cat", path("set"), "--split", "test"}), HasSubstr("test"));
}

TEST_F(DataCommand, MakesAVocabulary) {
  write("in.txt", numbered_documents(50) + "\xff\n");
  const std::vector<std::string> args{"vocab",  "--input", path("in.txt"), "--output", path("v"),
                                      "--size", "50"};
  EXPECT_THAT(refusal(args), HasSubstr("in.txt: line 101 is not UTF-8"));
  std::vector<std::string> skipping = args;
  skipping.insert(skipping.end(), {"--on-bad-sample", "skip"});
  EXPECT_THAT(run(skipping),
              AllOf(StartsWith(path("v") + ": 50 pieces of "), HasSubstr("1 line skipped, the")));
  EXPECT_THAT(read("v"), StartsWith("[PAD]\n[UNK]\n"));
  EXPECT_THAT(refusal(args), HasSubstr("exists already"));
}

TEST_F(DataCommand, VerifyNamesEveryBadShard) {
  write("in.txt", numbered_documents(50));
  const std::string set = path("set");
  run({"text", "--input", path("in.txt"), "--output", set});
  std::string bytes = read("set/train-00000.h5");
  bytes.back() ^= 1;
  write("set/train-00000.h5", bytes);
  std::filesystem::resize_file(path("set/val-00000.h5"), 100);
  EXPECT_THAT(refusal({"verify", set}),
              AllOf(HasSubstr("set/train-00000.h5 is damaged: its checksum is "),
                    HasSubstr("; " + path("set/val-00000.h5") + " is truncated: ")));
}

TEST_F(DataCommand, EachMistakeIsOneSentence) {
  write("in.txt", numbered_documents(5));
  EXPECT_THAT(refusal({"txt"}), HasSubstr("unknown action \"txt\""));
  EXPECT_THAT(refusal({"text", "--inputs", "x"}), HasSubstr("unknown option \"--inputs\""));
  EXPECT_THAT(refusal({"text", "--output", path("set")}), HasSubstr("--input"));
  EXPECT_THAT(
      refusal({"text", "--input", path("in.txt"), "--output", path("set"), "--shard-mb", "0"}),
      HasSubstr("--shard-mb must be 1 to 1048576, not 0"));
  EXPECT_THAT(
      refusal({"text", "--input", path("in.txt"), "--output", path("set"), "--separator", "\\q"}),
      HasSubstr("holds an escape"));
  EXPECT_THAT(refusal({"inspect"}), HasSubstr("fusor data inspect: name the dataset's folder"));
  EXPECT_THAT(refusal({"verify", path("none")}), HasSubstr("no dataset folder " + path("none")));
  EXPECT_FALSE(std::filesystem::exists(path("set")));
}

TEST_F(DataCommand, HelpIsEverywhere) {
  for (const std::vector<std::string>& args : std::vector<std::vector<std::string>>{
           {"--help"}, {"text", "--help"}, {"inspect", "--help"}, {"verify", "--help"}})
    EXPECT_THAT(run(args), StartsWith("usage: fusor data"));
}

}  // namespace
}  // namespace fusor::testing
