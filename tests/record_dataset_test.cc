#include "io/record_dataset.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <hdf5.h>

#include <filesystem>
#include <numeric>
#include <set>

#include "io/checksum.h"
#include "io/record_writer.h"
#include "runtime/random.h"
#include "tests/text_dataset.h"

namespace fusor::testing {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::size_t kPixels = 0, kSound = 1, kLabel = 2, kFrames = 3;

std::vector<FieldInfo> fields() {
  return {{.name = "pixels", .shape = {2, 3}},
          {.name = "sound", .type = ElementType::i16, .ragged = true},
          {.name = "label", .type = ElementType::i32, .names = {"a", "b", "c"}},
          {.name = "frames", .type = ElementType::f32, .ragged = true, .shape = {4}}};
}

// Row i: pixels where i % 2 == 0, i % 5 numbers of sound where i % 3 > 0, always a label, i % 4
// frames.
struct Row {
  explicit Row(int i)
      : has_pixels(i % 2 == 0),
        has_sound(i % 3 > 0),
        pixels(6, static_cast<std::uint8_t>(i)),
        sound(static_cast<std::size_t>(i % 5), static_cast<std::int16_t>(-i)),
        label(i % 3),
        frames(static_cast<std::size_t>(i % 4 * 4), 0.5f * static_cast<float>(i)) {}
  std::vector<FieldValue> values() const {
    return {has_pixels ? FieldValue(pixels) : FieldValue(),
            has_sound ? FieldValue(sound) : FieldValue(), label, frames};
  }
  bool has_pixels, has_sound;
  std::vector<std::uint8_t> pixels;
  std::vector<std::int16_t> sound;
  std::int32_t label;
  std::vector<float> frames;
};

class RecordDatasetTest : public FolderTest {
 protected:
  // `rows` rows of split "train" in shards of about ten rows.
  void make(int rows = 50) {
    RecordWriter writer({.output = path("set"), .fields = fields(), .shard_bytes = 800});
    for (int i = 0; i < rows; ++i) writer.add(static_cast<std::uint64_t>(i), Row(i).values());
    writer.finish();
  }
  std::string refusal(const DatasetOptions& options = {}) const {
    return thrown_by([&] { RecordDataset(path("set"), "train", options); });
  }
};

TEST_F(RecordDatasetTest, RowsComeBackAsTheyWereWritten) {
  make();
  const RecordDataset data(path("set"), "train");
  ASSERT_EQ(data.num_rows(), 50);
  ASSERT_GT(data.manifest().splits[0].shards.size(), 3);
  for (int i = 0; i < 50; ++i) {
    const Row row(i);
    EXPECT_EQ(data.has(kPixels, i), row.has_pixels);
    EXPECT_EQ(data.has(kSound, i), row.has_sound);
    if (row.has_pixels) {
      EXPECT_EQ(data.read<std::uint8_t>(kPixels, i), row.pixels);
    }
    if (row.has_sound) {
      EXPECT_EQ(data.read<std::int16_t>(kSound, i), row.sound);
    }
    EXPECT_THAT(data.read<std::int32_t>(kLabel, i), ElementsAre(row.label));
    EXPECT_EQ(data.read<float>(kFrames, i), row.frames);
    EXPECT_EQ(data.length(kFrames, i), i % 4);
    EXPECT_EQ(data.size(kFrames, i), i % 4 * 4);
  }
}

TEST_F(RecordDatasetTest, ColumnsTellOfAllRowsWithoutReadingThem) {
  make();
  const RecordDataset data(path("set"), "train");
  const auto sounds = data.lengths(kSound), pixels = data.lengths(kPixels);
  const auto labels = data.column<std::int32_t>(kLabel);
  const auto groups = data.groups();
  for (int i = 0; i < 50; ++i) {
    const auto r = static_cast<std::size_t>(i);
    const Row row(i);
    EXPECT_EQ(sounds[r], row.has_sound ? i % 5 : 0);
    EXPECT_EQ(pixels[r], row.has_pixels ? 1 : 0);
    EXPECT_EQ(labels[r], row.label);
    EXPECT_EQ(groups[r], r);
    EXPECT_EQ(data.present()[r], (row.has_pixels ? 1u : 0u) | (row.has_sound ? 2u : 0u) | 12u);
  }
  EXPECT_EQ(data.manifest().splits[0].sets().at(15), 16);  // pixels and sound: i % 6 in {2, 4}
}

TEST_F(RecordDatasetTest, WhatIsNotThereIsRefusedByName) {
  make();
  const RecordDataset data(path("set"), "train");
  EXPECT_THAT(thrown_by([&] { data.read<std::uint8_t>(kPixels, 1); }),
              AllOf(HasSubstr("row 1 of split 'train'"), HasSubstr("no field 'pixels'")));
  EXPECT_THAT(thrown_by([&] { data.read<float>(kLabel, 0); }),
              HasSubstr("field 'label' holds i32, not f32"));
  EXPECT_THAT(thrown_by([&] { data.length(kLabel, 50); }), HasSubstr("has 50 rows, no row 50"));
  EXPECT_THAT(thrown_by([&] { data.column<std::int16_t>(kSound); }),
              HasSubstr("field 'sound' is not one number a row"));
  EXPECT_THAT(thrown_by([&] { data.index_of("image"); }),
              HasSubstr(path("set") + ": the dataset has no field 'image'"));
  EXPECT_THAT(thrown_by([&] { RecordDataset(path("set"), "val"); }),
              HasSubstr("has no split 'val'; it has train"));
  EXPECT_THAT(thrown_by([&] { Dataset(path("set"), "train"); }),
              HasSubstr("'schema' is 'records'"));
}

TEST_F(RecordDatasetTest, DamagedShardsAreNamed) {
  make();
  const std::string name = path("set/train-00001.h5");
  std::string bytes = read("set/train-00001.h5");
  bytes[bytes.size() / 2] ^= 1;
  write("set/train-00001.h5", bytes);
  EXPECT_THAT(refusal(), HasSubstr(name + " is damaged: its checksum is "));
  std::filesystem::resize_file(name, bytes.size() - 1);
  EXPECT_THAT(refusal({.verify_checksums = false}), HasSubstr(name + " is truncated"));
  std::filesystem::remove(name);
  EXPECT_THAT(refusal(), HasSubstr("cannot open " + name));
}

TEST_F(RecordDatasetTest, GroupsFallOnOneSideAndSharesAreKept) {
  RecordWriter writer({.output = path("set"),
                       .fields = {{.name = "id", .type = ElementType::i64}},
                       .held_out = {.val = 0.2, .test = 0.1},
                       .split_seed = 3});
  for (std::int64_t i = 0; i < 3000; ++i)
    writer.add(group_hash("group " + std::to_string(i / 3)), {i});
  const RecordManifest manifest = writer.finish();
  EXPECT_THAT(manifest.splits, ElementsAre(::testing::Field(&RecordSplit::name, "train"),
                                           ::testing::Field(&RecordSplit::name, "val"),
                                           ::testing::Field(&RecordSplit::name, "test")));
  EXPECT_NEAR(static_cast<double>(manifest.find("val")->num_rows()), 600, 100);
  EXPECT_NEAR(static_cast<double>(manifest.find("test")->num_rows()), 300, 80);
  std::set<std::int64_t> seen;
  for (const RecordSplit& split : manifest.splits) {
    std::set<std::int64_t> here;
    for (const std::int64_t id : RecordDataset(path("set"), split.name).column<std::int64_t>(0))
      here.insert(id / 3);
    for (const std::int64_t group : here) EXPECT_TRUE(seen.insert(group).second) << group;
  }
  EXPECT_EQ(seen.size(), 1000);
}

TEST_F(RecordDatasetTest, EqualInputGivesEqualFiles) {
  make();
  std::filesystem::rename(path("set"), path("first"));
  make();
  for (const auto& entry : std::filesystem::directory_iterator(path("first"))) {
    const std::string name = entry.path().filename().string();
    EXPECT_EQ(read("first/" + name), read("set/" + name)) << name;
  }
}

TEST_F(RecordDatasetTest, RowsThatDoNotFitAreRefusedAndNothingIsLeft) {
  {
    RecordWriter writer({.output = path("set"), .fields = fields()});
    const auto refused = [&](std::vector<FieldValue> row) {
      return thrown_by([&] { writer.add(0, row); });
    };
    const std::vector<std::uint8_t> pixels(5);
    const std::vector<float> frames(6);
    EXPECT_THAT(refused({pixels, {}, 1, {}}), HasSubstr("field 'pixels' of row 0 has 5 numbers"));
    EXPECT_THAT(refused({{}, {}, std::int64_t{1}, {}}),
                HasSubstr("'label' of row 0 holds i64, not i32"));
    EXPECT_THAT(refused({{}, {}, 1, frames}), HasSubstr("items of shape [4] cannot hold"));
    EXPECT_THAT(refused({{}, {}, {}, {}}), HasSubstr("row 0 holds no field at all"));
    EXPECT_THAT(refused({1}), HasSubstr("row 0 has 1 values for 4 fields"));
    EXPECT_THAT(thrown_by([&] { writer.add("a/b", 0, Row(1).values()); }),
                HasSubstr("'a/b' cannot name a split"));
    EXPECT_THAT(thrown_by([&] { writer.finish(); }), HasSubstr("there are no rows"));
  }
  EXPECT_TRUE(std::filesystem::is_empty(path("")));
  const auto refusal_of = [&](HeldOutShares shares) {
    return thrown_by([&] {
      RecordWriter writer({.output = path("set"), .fields = fields(), .held_out = shares});
      writer.add(1, Row(1).values());
      writer.finish();
    });
  };
  EXPECT_THAT(refusal_of({.val = 0.6, .test = 0.4}), HasSubstr("leave nothing to train on"));
  EXPECT_THAT(refusal_of({.val = 1e-9}), HasSubstr("the split 'val' would be empty"));
  EXPECT_THAT(refusal_of({.val = 0.999999999}), HasSubstr("the split 'train' would be empty"));
}

// A shard as another program may write it: pixels in chunks of `chunk` rows, offsets as given.
class ForeignRecords : public FolderTest {
 protected:
  struct Shard {
    std::vector<hsize_t> chunk{};  // of pixels; empty: contiguous
    std::vector<std::int64_t> offsets{0, 2, 2, 5};
    std::vector<FieldSet> present{3, 1, 3};
  };
  void make(const Shard& shard) {
    std::filesystem::create_directories(path("set"));
    const hid_t file = H5Fcreate(path("set/a.h5").c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    std::vector<std::uint8_t> pixels(12), sound(5);
    std::iota(pixels.begin(), pixels.end(), std::uint8_t{0});
    const std::vector<std::uint64_t> groups{1, 2, 3};
    add(file, "present", H5T_STD_U32LE, {3}, shard.present.data());
    add(file, "group", H5T_STD_U64LE, {3}, groups.data());
    add(file, "pixels", H5T_STD_U8LE, {3, 2, 2}, pixels.data(), shard.chunk);
    add(file, "sound", H5T_STD_U8LE, {5}, sound.data());
    add(file, "sound_offsets", H5T_STD_I64LE, {4}, shard.offsets.data());
    H5Fclose(file);
    const std::string bytes = read("set/a.h5");
    RecordManifest manifest;
    manifest.fields = {{.name = "pixels", .shape = {2, 2}}, {.name = "sound", .ragged = true}};
    manifest.splits = {{"train",
                        {{"a.h5",
                          3,
                          {0, 5},
                          {{1, 1}, {3, 2}},
                          {std::ssize(bytes), checksum(bytes.data(), bytes.size())}}}}};
    write("set/manifest.json", to_text(manifest));
  }
  std::string refusal(const Shard& shard) {
    make(shard);
    return thrown_by([&] { RecordDataset(path("set"), "train"); });
  }

 private:
  static void add(hid_t file, const char* name, hid_t type, const std::vector<hsize_t>& shape,
                  const void* data, const std::vector<hsize_t>& chunk = {}) {
    const hid_t layout = H5Pcreate(H5P_DATASET_CREATE);
    const int dims = static_cast<int>(shape.size());
    if (!chunk.empty()) H5Pset_chunk(layout, dims, chunk.data());
    const hid_t space = H5Screate_simple(dims, shape.data(), nullptr);
    const hid_t dataset = H5Dcreate2(file, name, type, space, H5P_DEFAULT, layout, H5P_DEFAULT);
    H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data);
    H5Dclose(dataset);
    H5Sclose(space);
    H5Pclose(layout);
  }
};

TEST_F(ForeignRecords, ChunksOfWholeRowsRead) {
  for (const hsize_t rows : {0, 1, 2, 3}) {
    make({.chunk = rows == 0 ? std::vector<hsize_t>{} : std::vector<hsize_t>{rows, 2, 2}});
    const RecordDataset data(path("set"), "train");
    EXPECT_THAT(data.read<std::uint8_t>(0, 1), ElementsAre(4, 5, 6, 7));
    EXPECT_THAT(data.read<std::uint8_t>(0, 2), ElementsAre(8, 9, 10, 11));
    EXPECT_EQ(data.length(1, 2), 3);
  }
}

TEST_F(ForeignRecords, ShardsThatCannotBeTrueAreRefused) {
  const std::string name = path("set/a.h5");
  EXPECT_THAT(refusal({.chunk = {3, 1, 2}}),
              HasSubstr(name + ": dataset 'pixels' is stored in chunks that cut its rows"));
  EXPECT_THAT(refusal({.offsets = {0, 3, 2, 5}}),
              HasSubstr("'sound_offsets' must rise from 0 to 5"));
  EXPECT_THAT(refusal({.offsets = {0, 2, 2, 4}}), HasSubstr("must rise from 0 to 5"));
  EXPECT_THAT(refusal({.offsets = {0, 2, 3, 5}}),
              HasSubstr("gives items to row 1, where the field is absent"));
  EXPECT_THAT(refusal({.present = {3, 3, 1}}), HasSubstr("gives items to row 2"));
  EXPECT_THAT(refusal({.present = {3, 3, 3}}), HasSubstr("'present' differs from the sets"));
}

TEST_F(ForeignRecords, ValuesWithoutANameAreFound) {
  make({});
  RecordManifest manifest = read_record_manifest(path("set"));
  const auto fault = [&](std::vector<std::string> names) {
    manifest.fields[0].names = std::move(names);
    return thrown_by(
        [&] { verify_record_shard(path("set"), manifest.splits[0].shards[0], manifest.fields); });
  };
  EXPECT_EQ(fault(std::vector<std::string>(12, "x")), "no error");
  EXPECT_THAT(fault(std::vector<std::string>(11, "x")),
              HasSubstr("a.h5: field 'pixels' of row 2 is 11, which has no name"));
}

}  // namespace
}  // namespace fusor::testing
