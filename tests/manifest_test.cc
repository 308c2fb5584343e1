#include "io/manifest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "runtime/error.h"
#include "tests/thrown_by.h"

namespace fusor {
namespace {

using testing::HasSubstr;

Manifest example() {
  Manifest manifest;
  manifest.separator = "\n\n";
  manifest.splits = {{"train",
                      {{"train-00000.h5", 1000, 10, 4000, 0x0123456789abcdefu},
                       {"train-00001.h5", 500, 5, 3000, 7}}},
                     {"val", {{"val-00000.h5", 20, 1, 2000, 9}}}};
  return manifest;
}

std::string error_of(const std::string& text) {
  return thrown_by([&] { parse_manifest(text, "d/manifest.json"); });
}

std::string with(std::string text, const std::string& from, const std::string& to) {
  const auto at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

TEST(Manifest, ReadsWhatItWrites) {
  const Manifest manifest = parse_manifest(to_text(example()), "m");
  EXPECT_EQ(to_text(manifest), to_text(example()));
  EXPECT_EQ(manifest.separator, "\n\n");
  EXPECT_EQ(manifest.find("train")->shards[0].checksum, 0x0123456789abcdefu);
  EXPECT_EQ(manifest.find("train")->num_tokens(), 1500);
  EXPECT_EQ(manifest.find("train")->num_documents(), 15);
  EXPECT_EQ(manifest.find("test"), nullptr);
}

TEST(Manifest, EachMistakeIsOneSentenceWithFileAndKey) {
  struct Case {
    std::string from, to, message;
  };
  const std::string good = to_text(example());
  for (const Case& c : {
           Case{"{", "{{", "d/manifest.json is not valid JSON at byte 2"},
           Case{"\"fusor-dataset\"", "\"other\"", "key 'format' is 'other'"},
           Case{"\"version\": 1", "\"version\": 2",
                "key 'version' is 2, but this program reads version 1"},
           Case{"\"version\": 1", "\"version\": 1e999", "number"},
           Case{"\"schema\": \"text\"", "\"schema\": \"images\"", "key 'schema' is 'images'"},
           Case{"\"schema\"", "\"scheme\"", "key 'schema' is missing"},
           Case{"\"vocab_size\": 256", "\"vocab_size\": 257", "key 'vocab_size' is 257, which u8"},
           Case{"\"vocab_size\": 256", "\"vocab_size\": 256, \"vocab_size\": 256", "given twice"},
           Case{"\"token_dtype\": \"u8\"", "\"token_dtype\": \"f32\"", "'token_dtype' is 'f32'"},
           Case{"\"tokens\": 1000", "\"tokens\": \"1000\"",
                "'splits.train[0].tokens' must be a whole number of 0 or more, not string"},
           Case{"\"tokens\": 1000", "\"tokens\": -1", "not -1"},
           Case{"\"tokens\": 1000", "\"tokens\": 10.5", "not 10.5"},
           Case{"\"tokens\": 1000", "\"tokens\": 4001", "more than a file of 4000 bytes"},
           Case{"\"documents\": 10", "\"documents\": 1001", "which 1000 tokens cannot hold"},
           Case{"0123456789abcdef", "0123456789abcde", "'splits.train[0].xxh3' must be 16 hex"},
           Case{"0123456789abcdef", "0123456789abcdeg", "must be 16 hex digits"},
           Case{"train-00000.h5", "../train-00000.h5", "'splits.train[0].file' must name a file"},
           Case{"val-00000.h5", "train-00000.h5", "names train-00000.h5 a second time"},
           Case{"\"separator\"", "\"extra\": 1, \"separator\"", "key 'extra' is not known"},
       })
    EXPECT_THAT(error_of(with(good, c.from, c.to)), HasSubstr(c.message));
  EXPECT_THAT(error_of("[]"), HasSubstr("d/manifest.json must hold a JSON object, not array"));
}

TEST(Manifest, NamesTheVocabularyOfWordPieces) {
  Manifest pieces = example();
  pieces.tokenizer = "wordpiece";
  pieces.vocab_size = 200;
  pieces.vocab = StoredVocab{"0123456789abcdef", false};
  const std::string text = to_text(pieces);
  const Manifest manifest = parse_manifest(text, "m");
  ASSERT_TRUE(manifest.vocab);
  EXPECT_EQ(manifest.vocab->checksum, "0123456789abcdef");
  EXPECT_FALSE(manifest.vocab->lower_case);
  EXPECT_FALSE(parse_manifest(to_text(example()), "m").vocab);
  EXPECT_THAT(error_of(with(text, "\"vocab\"", "\"vocabs\"")), HasSubstr("'vocabs' is not known"));
  EXPECT_THAT(error_of(with(text, "false", "0")), HasSubstr("key 'vocab.lower_case'"));
  EXPECT_THAT(error_of(with(to_text(example()), "\"bytes\",", "\"wordpiece\",")),
              HasSubstr("key 'vocab' is missing"));
}

TEST(Manifest, CountsThatWouldOverflowAreRefused) {
  const std::string huge = std::to_string(INT64_MAX);
  std::string text = to_text(example());
  for (const char* from : {"\"tokens\": 1000", "\"tokens\": 500"})
    text = with(text, from, "\"tokens\": " + huge);
  for (const char* from : {"\"bytes\": 4000", "\"bytes\": 3000"})
    text = with(text, from, "\"bytes\": " + huge);
  EXPECT_THAT(error_of(text), HasSubstr("beyond 2^56 tokens"));
}

TEST(Manifest, MissingFolderAndMissingManifestDiffer) {
  const std::string folder = testing::TempDir() + "manifest_test_empty";
  const auto error = [](const std::string& path) {
    return thrown_by([&] { read_manifest(path); });
  };
  EXPECT_THAT(error(folder + "/no"), HasSubstr("there is no dataset folder " + folder + "/no"));
  std::filesystem::create_directories(folder);
  EXPECT_THAT(error(folder), HasSubstr(folder + " holds no manifest.json"));
}

TEST(Manifest, SeparatorMustBeUtf8) {
  Manifest manifest = example();
  manifest.separator = "\xff";
  EXPECT_THROW(to_text(manifest), Error);
}

}  // namespace
}  // namespace fusor
