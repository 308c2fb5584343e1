#include "io/dataset.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <hdf5.h>

#include <filesystem>
#include <numeric>

#include "io/checksum.h"
#include "tests/text_dataset.h"

namespace fusor::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class DatasetTest : public FolderTest {
 protected:
  DatasetTest() {
    write("in.txt", text_);
    build_text_dataset({.inputs = {path("in.txt")},
                        .output = path("set"),
                        .val_fraction = 0,
                        .shard_bytes = 1000});
  }
  std::string refusal(const DatasetOptions& options = {}) const {
    return thrown_by([&] { Dataset(path("set"), "train", options); });
  }
  const std::string text_ = numbered_documents(100);
};

TEST_F(DatasetTest, WindowsSpanShards) {
  const Dataset dataset(path("set"), "train");
  ASSERT_EQ(dataset.num_tokens(), std::ssize(text_));
  ASSERT_GT(dataset.manifest().splits[0].shards.size(), 3);
  EXPECT_EQ(dataset.vocab_size(), 256);
  EXPECT_EQ(dataset.num_samples(10), (std::ssize(text_) - 1) / 10);
  std::vector<std::int32_t> window(2500);
  for (std::int64_t first = 0; first + 2500 <= dataset.num_tokens(); first += 311) {
    dataset.read(first, window);
    EXPECT_EQ(std::string(window.begin(), window.end()), text_.substr(first, 2500));
  }
  EXPECT_THAT(thrown_by([&] { dataset.read(dataset.num_tokens() - 2499, window); }),
              HasSubstr("no token " + std::to_string(text_.size())));
}

TEST_F(DatasetTest, SequenceLongerThanTheSplit) {
  const Dataset dataset(path("set"), "train");
  EXPECT_EQ(dataset.num_samples(dataset.num_tokens() - 1), 1);
  EXPECT_THAT(thrown_by([&] { dataset.num_samples(dataset.num_tokens()); }),
              AllOf(HasSubstr("'train' of " + path("set")), HasSubstr("too few for one sequence")));
  EXPECT_THROW(dataset.num_samples(0), Error);
}

TEST_F(DatasetTest, NamesWhatIsMissing) {
  EXPECT_THAT(thrown_by([&] { Dataset(path("none"), "train"); }),
              HasSubstr("there is no dataset folder " + path("none")));
  EXPECT_THAT(thrown_by([&] { Dataset(path("set"), "test"); }),
              HasSubstr("has no split 'test'; it has train"));
  std::filesystem::remove(path("set/train-00001.h5"));
  EXPECT_THAT(refusal(), HasSubstr("cannot open " + path("set/train-00001.h5")));
}

TEST_F(DatasetTest, NamesATruncatedShard) {
  const auto bytes = std::filesystem::file_size(path("set/train-00002.h5"));
  std::filesystem::resize_file(path("set/train-00002.h5"), bytes - 1);
  EXPECT_THAT(
      refusal({.verify_checksums = false}),
      HasSubstr(path("set/train-00002.h5") + " is truncated: it has " + std::to_string(bytes - 1) +
                " bytes, its manifest says " + std::to_string(bytes)));
}

TEST_F(DatasetTest, NamesAShardWithAFlippedByte) {
  std::string bytes = read("set/train-00001.h5");
  bytes[bytes.size() - 300] ^= 1;
  write("set/train-00001.h5", bytes);
  const std::string message = refusal();
  EXPECT_THAT(message, HasSubstr(path("set/train-00001.h5") + " is damaged: its checksum is " +
                                 checksum_text(checksum(bytes.data(), bytes.size()))));
  EXPECT_EQ(refusal({.verify_checksums = false}), "no error");
}

TEST_F(DatasetTest, NamesAManifestThatLies) {
  const ShardInfo shard = read_manifest(path("set")).splits[0].shards[0];
  const auto lie = [&](const std::string& key, std::int64_t truth, std::int64_t said) {
    const std::string quoted = "\"" + key + "\": ";
    replace("set/manifest.json", quoted + std::to_string(truth), quoted + std::to_string(said));
    const std::string message = refusal();
    replace("set/manifest.json", quoted + std::to_string(said), quoted + std::to_string(truth));
    return message;
  };
  const std::string name = path("set/train-00000.h5");
  EXPECT_THAT(lie("tokens", shard.tokens, shard.tokens + 1),
              HasSubstr(name + " holds " + std::to_string(shard.tokens) +
                        " tokens, its manifest says " + std::to_string(shard.tokens + 1)));
  EXPECT_THAT(lie("documents", shard.documents, shard.documents - 1),
              HasSubstr(name + " holds " + std::to_string(shard.documents) + " documents"));
  EXPECT_THAT(lie("bytes", shard.bytes, shard.bytes - 1), HasSubstr(name + " has "));
  replace("set/manifest.json", "\"u8\"", "\"u16\"");
  EXPECT_THAT(refusal(),
              HasSubstr(name + ": dataset 'tokens' must be stored as little-endian u16"));
}

// A folder with one shard as another program might write it: chunk 0 means contiguous.
class ForeignShard : public FolderTest {
 protected:
  void make(hid_t stored, hsize_t chunk, bool compressed = false, hsize_t user_block = 0) {
    tokens_.resize(1000);
    std::iota(tokens_.begin(), tokens_.end(), 0);
    std::filesystem::create_directories(path("set"));
    const hid_t creation = H5Pcreate(H5P_FILE_CREATE);
    H5Pset_userblock(creation, user_block);
    const hid_t file = H5Fcreate(path("set/a.h5").c_str(), H5F_ACC_TRUNC, creation, H5P_DEFAULT);
    const hid_t layout = H5Pcreate(H5P_DATASET_CREATE);
    if (chunk > 0) H5Pset_chunk(layout, 1, &chunk);
    if (compressed) H5Pset_deflate(layout, 1);
    add(file, "tokens", stored, layout, H5T_NATIVE_INT32, tokens_.data(), tokens_.size());
    const std::int64_t offsets[] = {0, 400, 1000};
    add(file, "offsets", H5T_STD_I64LE, H5P_DEFAULT, H5T_NATIVE_INT64, offsets, 3);
    H5Pclose(layout);
    H5Fclose(file);
    H5Pclose(creation);
    describe(H5Tequal(stored, H5T_STD_I32LE) > 0 ? TokenType::i32 : TokenType::u16, 1000);
  }

  void describe(TokenType type, std::int64_t vocab_size) {
    Manifest manifest;
    manifest.tokenizer = "numbers";
    manifest.token_type = type;
    manifest.vocab_size = vocab_size;
    const std::string bytes = read("set/a.h5");
    manifest.splits = {
        {"train", {{"a.h5", 1000, 2, std::ssize(bytes), checksum(bytes.data(), bytes.size())}}}};
    write("set/manifest.json", to_text(manifest));
  }

  std::string reading_error() const {
    return thrown_by([&] {
      std::vector<std::int32_t> out(1000);
      Dataset(path("set"), "train").read(0, out);
    });
  }

  std::vector<std::int32_t> tokens_;

 private:
  static void add(hid_t file, const char* name, hid_t stored, hid_t layout, hid_t given,
                  const void* data, hsize_t length) {
    const hid_t space = H5Screate_simple(1, &length, nullptr);
    const hid_t dataset = H5Dcreate2(file, name, stored, space, H5P_DEFAULT, layout, H5P_DEFAULT);
    H5Dwrite(dataset, given, H5S_ALL, H5S_ALL, H5P_DEFAULT, data);
    H5Dclose(dataset);
    H5Sclose(space);
  }
};

TEST_F(ForeignShard, AllTokenTypesAndLayoutsRead) {
  for (const hid_t stored : {H5T_STD_U16LE, H5T_STD_I32LE})
    for (const hsize_t chunk : {0, 64, 333, 1000}) {
      make(stored, chunk);
      const Dataset dataset(path("set"), "train");
      std::vector<std::int32_t> out(1000);
      dataset.read(0, out);
      EXPECT_EQ(out, tokens_) << "chunk " << chunk;
      dataset.read(60, std::span(out).first(400));
      EXPECT_TRUE(std::equal(out.begin(), out.begin() + 400, tokens_.begin() + 60));
    }
}

TEST_F(ForeignShard, LayoutsThatCannotBeReadAreRefused) {
  make(H5T_STD_U16LE, 100, true);
  EXPECT_THAT(reading_error(), HasSubstr(path("set/a.h5") + ": dataset 'tokens' is compressed"));
  make(H5T_STD_U16BE, 0);
  EXPECT_THAT(reading_error(), HasSubstr("must be stored as little-endian u16"));
  make(H5T_STD_U16LE, 100, false, 512);
  EXPECT_THAT(reading_error(), HasSubstr("user block"));
  write("set/a.h5", std::string(5000, 'x'));
  describe(TokenType::u16, 1000);
  EXPECT_THAT(reading_error(), HasSubstr(path("set/a.h5") + " is not a readable HDF5 file: "));
}

TEST_F(ForeignShard, IdsOutsideTheVocabularyAreRefused) {
  make(H5T_STD_I32LE, 0);
  describe(TokenType::i32, 999);
  EXPECT_THAT(reading_error(), HasSubstr("holds token id 999, outside the vocabulary of 999"));
  const Manifest manifest = read_manifest(path("set"));
  EXPECT_THAT(
      thrown_by([&] { verify_text_shard(path("set"), manifest.splits[0].shards[0], manifest); }),
      HasSubstr("outside the vocabulary"));
}

}  // namespace
}  // namespace fusor::testing
