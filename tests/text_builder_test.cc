#include "io/text_builder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <set>
#include <thread>

#include "io/shard.h"
#include "tests/text_dataset.h"

namespace fusor::testing {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

using TextBuilder = FolderTest;

std::set<std::string> documents_of(const std::string& folder, const std::string& split) {
  const std::string text = text_of(Dataset(folder, split));
  std::set<std::string> documents;
  for (std::size_t at = 0, end; at < text.size(); at = end) {
    end = std::min(text.size(), text.find("\n\n", at) + 2);
    documents.insert(text.substr(at, end - at));
  }
  return documents;
}

TEST_F(TextBuilder, KeepsEveryByteOfEveryFileInOrder) {
  const std::string one = numbered_documents(40), two("no separator, all bytes: \0\xff\n", 28);
  write("in/b/two.txt", two);
  write("in/a.txt", one);
  const auto report = build_text_dataset({.inputs = {path("in"), path("in/a.txt")},
                                          .output = path("out/deep/set/"),
                                          .val_fraction = 0,
                                          .shard_bytes = 100});
  EXPECT_EQ(report.num_files, 3);
  EXPECT_EQ(report.num_empty, 0);
  const Manifest manifest = read_manifest(path("out/deep/set"));
  ASSERT_EQ(manifest.splits.size(), 1);
  EXPECT_GT(manifest.splits[0].shards.size(), 20);
  EXPECT_EQ(manifest.splits[0].num_documents(), 81);
  EXPECT_EQ(text_of(Dataset(path("out/deep/set"), "train")), one + two + one);
}

TEST_F(TextBuilder, OffsetsMarkTheDocuments) {
  write("in.txt", "ab\n\nc\n\n\n\nlast");
  const auto report =
      build_text_dataset({.inputs = {path("in.txt")}, .output = path("set"), .val_fraction = 0});
  EXPECT_EQ(report.num_empty, 1);
  EXPECT_EQ(read_offsets(path("set"), report.manifest.splits[0].shards[0]),
            (std::vector<std::int64_t>{0, 4, 7, 11}));
}

TEST_F(TextBuilder, TheSameInputGivesTheSameBytes) {
  write("in.txt", numbered_documents(50));
  build_text_dataset({.inputs = {path("in.txt")}, .output = path("a")});
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));  // HDF5 can store times, in seconds
  build_text_dataset({.inputs = {path("in.txt")}, .output = path("b")});
  EXPECT_EQ(read("a/manifest.json"), read("b/manifest.json"));
}

TEST_F(TextBuilder, FindsSeparatorsAcrossReadBlocks) {
  const std::size_t block = std::size_t{1} << 20;
  std::string text;
  for (const std::size_t gap : {block - 1, block - 2, block - 3})
    text += std::string(gap, 'x') + "<end>";
  write("in.txt", text);
  const auto report = build_text_dataset(
      {.inputs = {path("in.txt")}, .output = path("set"), .separator = "<end>", .val_fraction = 0});
  EXPECT_EQ(report.manifest.splits[0].num_documents(), 3);
  EXPECT_EQ(text_of(Dataset(path("set"), "train")), text);
}

TEST_F(TextBuilder, SplitDependsOnContentAndSeedOnly) {
  const std::string text = numbered_documents(400);
  write("all.txt", text);
  const auto middle = text.find("document 200");
  write("second.txt", text.substr(0, middle));
  write("first.txt", text.substr(middle));
  build_text_dataset({.inputs = {path("all.txt")}, .output = path("a")});
  build_text_dataset({.inputs = {path("first.txt"), path("second.txt"), path("all.txt")},
                      .output = path("b"),
                      .shard_bytes = 512});
  build_text_dataset({.inputs = {path("all.txt")}, .output = path("c"), .split_seed = 1});

  const auto val = documents_of(path("a"), "val"), train = documents_of(path("a"), "train");
  EXPECT_EQ(val.size() + train.size(), 400);
  EXPECT_GT(val.size(), 20);  // 40 expected, 6 the standard deviation
  EXPECT_LT(val.size(), 60);
  EXPECT_EQ(documents_of(path("b"), "val"), val);
  EXPECT_EQ(documents_of(path("b"), "train"), train);
  EXPECT_NE(documents_of(path("c"), "val"), val);
}

constexpr const char* kVocab = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nun\n##aff\n##able\ncafe\n!\n";

TEST_F(TextBuilder, WordPiecesOfADocumentEndInSep) {
  write("vocab.txt", kVocab);
  write("in.txt", "Unaffable café!\n\n \t\n\n\n\nun un\n\nwhat");
  const auto report = build_text_dataset({.inputs = {path("in.txt")},
                                          .output = path("set"),
                                          .vocab = path("vocab.txt"),
                                          .val_fraction = 0});
  EXPECT_EQ(report.num_empty, 2);
  const Dataset dataset(path("set"), "train");
  std::vector<std::int32_t> tokens(static_cast<std::size_t>(dataset.num_tokens()));
  dataset.read(0, tokens);
  EXPECT_EQ(tokens, (std::vector<std::int32_t>{5, 6, 7, 8, 9, 3, 5, 5, 3, 1, 3}));
  EXPECT_EQ(read_offsets(path("set"), report.manifest.splits[0].shards[0]),
            (std::vector<std::int64_t>{0, 6, 9, 11}));
  EXPECT_EQ(dataset.manifest().tokenizer, "wordpiece");
  EXPECT_EQ(dataset.manifest().token_type, TokenType::u16);
  EXPECT_EQ(dataset.vocab_size(), 10);
  ASSERT_TRUE(dataset.manifest().vocab);
  EXPECT_EQ(read_vocab(path("set"), *dataset.manifest().vocab).piece(7), "##able");
  write("set/vocab.txt", "[PAD]\n");
  EXPECT_THAT(thrown_by([&] { read_vocab(path("set"), *dataset.manifest().vocab); }),
              HasSubstr("set/vocab.txt is damaged"));
}

TEST_F(TextBuilder, ADocumentThatIsNotUtf8IsNamedOrSkippedAndCounted) {
  write("vocab.txt", kVocab);
  write("in.txt", "un\n\nun\nun \xff\n\nun");
  TextBuildConfig config{.inputs = {path("in.txt")},
                         .output = path("set"),
                         .vocab = path("vocab.txt"),
                         .val_fraction = 0};
  EXPECT_THAT(thrown_by([&] { build_text_dataset(config); }),
              HasSubstr("in.txt: line 4 is not UTF-8"));
  config.on_bad_sample = OnBadSample::skip;
  const auto report = build_text_dataset(config);
  EXPECT_EQ(report.bad.count(), 1);
  EXPECT_EQ(report.manifest.splits[0].num_documents(), 2);
}

TEST_F(TextBuilder, ThreadsPackWhatOneDoes) {
  write("vocab.txt", std::string(kVocab) + "document\n:\n1\n##2\n");
  write("in.txt", numbered_documents(300));
  for (const int threads : {1, 3})
    build_text_dataset({.inputs = {path("in.txt")},
                        .output = path("set" + std::to_string(threads)),
                        .vocab = path("vocab.txt"),
                        .num_threads = threads});
  EXPECT_EQ(read("set1/manifest.json"), read("set3/manifest.json"));
}

TEST_F(TextBuilder, RefusesWithOneSentenceAndLeavesNothing) {
  write("in.txt", "only one document");
  write("nothing.txt", "\n\n\n\n");
  fs::create_directories(path("empty"));
  fs::create_directories(path("taken"));
  const auto refusal = [&](TextBuildConfig config) {
    if (config.output.empty()) config.output = path("set");
    return thrown_by([&] { build_text_dataset(config); });
  };
  EXPECT_THAT(refusal({.inputs = {path("missing.txt")}}),
              HasSubstr("cannot open " + path("missing.txt") + ": No such file"));
  EXPECT_THAT(refusal({.inputs = {path("empty")}}), HasSubstr("no files in the folder"));
  EXPECT_THAT(refusal({.inputs = {path("nothing.txt")}}), HasSubstr("holds no text"));
  EXPECT_THAT(refusal({.inputs = {path("in.txt")}}), HasSubstr("the split 'val' would be empty"));
  EXPECT_THAT(refusal({.inputs = {path("in.txt")}, .output = path("taken")}),
              HasSubstr(path("taken") + " exists already"));
  EXPECT_THAT(refusal({.inputs = {path("in.txt")}, .separator = "\xff"}), HasSubstr("UTF-8"));
  EXPECT_THAT(refusal({.inputs = {path("in.txt")}, .val_fraction = 1}), HasSubstr("[0, 1), not 1"));
  fs::remove_all(path("taken"));
  for (const auto& entry : fs::directory_iterator(path("")))
    EXPECT_THAT(entry.path().filename(), ::testing::AnyOf("in.txt", "nothing.txt", "empty"));
}

TEST_F(TextBuilder, AFailedWriteLeavesNothing) {
  write("in.txt", numbered_documents(2000));
  rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, SIG_IGN);  // a write beyond the limit then fails, as on a full disk
  const rlimit limit{.rlim_cur = 20000, .rlim_max = before.rlim_max};
  ::setrlimit(RLIMIT_FSIZE, &limit);
  const std::string message =
      thrown_by([&] { build_text_dataset({.inputs = {path("in.txt")}, .output = path("set")}); });
  ::setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, SIG_DFL);
  EXPECT_THAT(message,
              ::testing::AllOf(::testing::StartsWith("cannot write "), HasSubstr("train-00000.h5"),
                               ::testing::EndsWith(": File too large")));
  EXPECT_EQ(std::distance(fs::directory_iterator(path("")), {}), 1);
}

}  // namespace
}  // namespace fusor::testing
