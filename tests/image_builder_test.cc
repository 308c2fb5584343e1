#include "io/image_builder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <filesystem>
#include <map>
#include <set>

#include "io/image_field.h"
#include "io/record_dataset.h"
#include "tests/golden_image.h"
#include "tests/text_dataset.h"

namespace fusor::testing {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class ImageBuilder : public FolderTest {
 protected:
  std::string golden(const std::string& name) const {
    const auto bytes = golden_.file(name);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
  // A folder "in" with two classes.
  void write_classes(const std::string& under = "in") {
    write(under + "/dog/a_1.png", golden("png.rgb"));
    write(under + "/dog/more/b.jpg", golden("jpeg.rgb"));
    write(under + "/cat/a_2.png", golden("png.palette"));
    write(under + "/cat/.hidden", "x");
  }
  ImageBuildReport build(ImageBuildConfig config = {}) {
    if (config.input.empty()) config.input = path("in");
    config.output = path("set");
    std::filesystem::remove_all(config.output);
    config.num_threads = 2;
    return build_image_dataset(config);
  }
  std::string refusal(ImageBuildConfig config = {}) {
    return thrown_by([&] { build(std::move(config)); });
  }
  RecordDataset open(const std::string& split = "train") const {
    return RecordDataset(path("set"), split);
  }
  std::string bytes_of(const RecordDataset& data, std::int64_t row) const {
    const auto bytes = data.read<char>(0, row);
    return {bytes.begin(), bytes.end()};
  }
  const GoldenImages golden_;
};

TEST_F(ImageBuilder, FoldersOfClassesKeepTheirFiles) {
  write_classes();
  EXPECT_EQ(build().num_images, 3);
  const RecordDataset data = open();
  EXPECT_EQ(data.field(0).attributes.at("channels"), "3");
  EXPECT_THAT(data.field(1).names, ElementsAre("cat", "dog"));
  EXPECT_THAT(data.column<std::int32_t>(1), ElementsAre(0, 1, 1));
  EXPECT_EQ(bytes_of(data, 0), golden("png.palette"));
  EXPECT_EQ(bytes_of(data, 1), golden("png.rgb"));
  EXPECT_EQ(bytes_of(data, 2), golden("jpeg.rgb"));
}

TEST_F(ImageBuilder, PixelsAreDecodedAndScaled) {
  write_classes();
  build({.pixels = true, .channels = 1});
  EXPECT_EQ(open().field(0).shape, (Shape{45, 64, 1}));
  EXPECT_EQ(open().read<std::uint8_t>(0, 1), golden_.image("grey").pixels);
  build({.pixels = true, .height = 16, .width = 16});
  Image found(16, 16, 3);
  found.pixels = open().read<std::uint8_t>(0, 1);
  EXPECT_LE(distance(found, golden_.image("resize.bilinear.16x16")), 1);
}

TEST_F(ImageBuilder, ImagesAreReadAsTheyWereStored) {
  write_classes();
  build();
  const RecordDataset encoded = open();
  EXPECT_EQ(distance(ImageField(encoded, "image").read(1), golden_.image("rgb")), 0);
  EXPECT_THAT(thrown_by([&] { ImageField(encoded, "label"); }),
              HasSubstr("field 'label' holds i32, not images"));
  build({.pixels = true, .channels = 1});
  const RecordDataset pixels = open();
  EXPECT_EQ(ImageField(pixels, "image").channels(), 1);
  EXPECT_EQ(distance(ImageField(pixels, "image").read(1), golden_.image("grey")), 0);
}

TEST_F(ImageBuilder, FoldersOfSplitsAreKept) {
  write_classes("in/train");
  write_classes("in/validation");
  write("in/test/dog/c.png", golden("png.grey"));
  const ImageBuildReport report = build();
  EXPECT_EQ(report.num_images, 7);
  EXPECT_EQ(report.num_equal, 3);
  EXPECT_EQ(report.num_leaked, 3);
  EXPECT_EQ(open("val").num_rows(), 3);
  EXPECT_THAT(open("test").column<std::int32_t>(1), ElementsAre(1));
  write("in/readme/x", "x");
  EXPECT_THAT(refusal(), HasSubstr(path("in/readme") + " stands beside a folder 'train'"));
}

class ManyImages : public ImageBuilder {
 protected:
  // 60 images, one grey value each; image i equals image i + 30.
  void write_idx(const std::string& part, bool gzip, int labels = 60) {
    std::string images("\0\0\x08\x03\0\0\0\x3c\0\0\0\x02\0\0\0\x03", 16),
        classes("\0\0\x08\x01\0\0\0", 7);
    classes += static_cast<char>(labels);
    for (int i = 0; i < 60; ++i) images.append(6, static_cast<char>(i % 30));
    for (int i = 0; i < labels; ++i) classes += static_cast<char>(i % 3 * 2);
    for (const auto& [name, bytes] : {std::pair(part + "-images-idx3-ubyte", images),
                                      std::pair(part + "-labels-idx1-ubyte", classes)}) {
      std::filesystem::create_directories(path("in"));
      const std::string file = path("in/" + name) + (gzip ? ".gz" : "");
      gzFile out = gzopen(file.c_str(), gzip ? "wb" : "wbT");
      gzwrite(out, bytes.data(), static_cast<unsigned>(bytes.size()));
      gzclose(out);
    }
  }
  // Of each split, the grey values in it.
  static std::map<std::string, std::multiset<int>> values(const std::string& set) {
    std::map<std::string, std::multiset<int>> values;
    for (const RecordSplit& split : read_record_manifest(set).splits) {
      const RecordDataset data(set, split.name);
      for (std::int64_t row = 0; row < data.num_rows(); ++row)
        values[split.name].insert(data.read<std::uint8_t>(0, row)[0]);
    }
    return values;
  }
};

TEST_F(ManyImages, ArraysAreRead) {
  write_idx("train", true);
  write_idx("t10k", false);
  build({.channels = 1});
  EXPECT_EQ(open().field(0).shape, (Shape{2, 3, 1}));
  EXPECT_THAT(open().field(1).names, ElementsAre("0", "1", "2", "3", "4"));
  EXPECT_EQ(open("test").num_rows(), 60);
  EXPECT_EQ(open().read<std::uint8_t>(0, 41), std::vector<std::uint8_t>(6, 11));
  EXPECT_THAT(open().read<std::int32_t>(1, 41), ElementsAre(4));
}

TEST_F(ManyImages, EqualImagesFallOnOneSide) {
  write_idx("train", false);
  const ImageBuildReport report = build({.channels = 1, .held_out = {.val = 0.3, .test = 0.2}});
  EXPECT_EQ(report.num_equal, 30);
  EXPECT_EQ(report.num_leaked, 0);
  std::set<int> seen;
  for (const auto& [split, greys] : values(path("set")))
    for (const int grey : std::set<int>(greys.begin(), greys.end())) {
      EXPECT_EQ(greys.count(grey), 2u);
      EXPECT_TRUE(seen.insert(grey).second) << grey;
    }
  EXPECT_EQ(seen.size(), 30u);
}

TEST_F(ManyImages, TablesNameLabelsGroupsAndSplits) {
  // Groups of two images, chained by equal ones: 0 1 | 1 2 | 2 3 ... all are one group.
  write("in/files/list.csv", "");
  std::string chained = "who,file,class\n", apart = chained;
  for (int i = 0; i < 8; ++i) {
    Image image(2, 2, 1);
    std::ranges::fill(image.pixels, static_cast<std::uint8_t>(i));
    for (const char* const copy : {"a", "b"}) {
      const std::string name = std::string(copy) + std::to_string(i) + ".png";
      write("in/files/" + name, golden(i % 2 == 0 ? "png.rgb" : "png.grey") + std::to_string(i));
      const int group = i + (*copy == 'b' ? 1 : 0);
      chained += std::to_string(group) + "," + name + ",\"x, " + std::to_string(i % 2) + "\"\n";
    }
  }
  const std::string table = write("in/files/list.csv", chained);
  ImageBuildConfig config{.input = table,
                          .columns = {.path = "file", .label = "class", .group = "who"},
                          .held_out = {.val = 0.4}};
  std::set<std::size_t> sizes;
  for (config.split_seed = 0; config.split_seed < 5; ++config.split_seed) try {
      for (const RecordSplit& split : build(config).manifest.splits)
        sizes.insert(static_cast<std::size_t>(split.num_rows()));
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr("would be empty"));
      sizes.insert(16);
    }
  EXPECT_THAT(sizes, ElementsAre(16));
  build({.input = table, .columns = {.path = "file", .label = "class", .split = {}}});
  EXPECT_THAT(open().field(1).names, ElementsAre("x, 0", "x, 1"));
  EXPECT_THAT(refusal({.input = table, .columns = {.path = "file", .label = "kind"}}),
              HasSubstr(table + " has no column 'kind'; it has who, file, class"));
  EXPECT_THAT(
      refusal({.input = table, .columns = {.path = "file", .label = "class", .split = "who"}}),
      HasSubstr(table + " line 2: the split '0' is not train, val or test"));
}

TEST_F(ManyImages, StemsKeepImagesTogether) {
  for (int i = 0; i < 40; ++i)
    for (const char* const view : {"_front.png", "_back.png"})
      write("in/one/" + std::to_string(i) + view, golden("png.grey") + view + std::to_string(i));
  build({.group_by_stem = true, .held_out = {.val = 0.5}});
  const RecordDataset val = open("val");
  const auto groups = val.groups();
  EXPECT_GT(val.num_rows(), 10);
  for (const std::uint64_t group : groups) EXPECT_EQ(std::ranges::count(groups, group), 2);
}

TEST_F(ImageBuilder, BadImagesFailOrAreSkippedAndCounted) {
  write_classes();
  write("in/cat/broken.png", golden("png.rgb").substr(0, 2000));
  write("in/cat/note.txt", "hello");
  EXPECT_THAT(refusal(), HasSubstr(path("in/cat/broken.png") + " is a corrupt PNG file: "));
  const ImageBuildReport report = build({.on_bad = OnBadSample::skip});
  EXPECT_EQ(report.num_images, 3);
  EXPECT_EQ(report.bad.count(), 2);
  EXPECT_THAT(report.bad.first(), HasSubstr("broken.png"));
  write("in/dog/small.png", golden("png.small"));
  EXPECT_THAT(refusal({.pixels = true, .on_bad = OnBadSample::fail}), HasSubstr("broken.png"));
  std::filesystem::remove(path("in/cat/broken.png"));
  std::filesystem::remove(path("in/cat/note.txt"));
  EXPECT_THAT(refusal({.pixels = true}),
              HasSubstr(path("in/dog/small.png") + " has 8 x 5 pixels, not 64 x 45"));
}

TEST_F(ImageBuilder, InputsThatCannotBeAreRefused) {
  write("in/one.png", golden("png.rgb"));
  EXPECT_THAT(refusal(), HasSubstr(path("in/one.png") + " is not in a folder that is its class"));
  EXPECT_THAT(refusal({.input = path("none")}), HasSubstr("there is no file or folder"));
  EXPECT_THAT(refusal({.input = path("in/one.png")}), HasSubstr("neither a folder nor a .csv"));
  std::filesystem::remove_all(path("in"));
  std::filesystem::create_directories(path("in/cat"));
  EXPECT_THAT(refusal(), HasSubstr("there are no images in " + path("in")));
  write("in/cat/a.png", golden("png.rgb"));
  EXPECT_THAT(refusal({.height = 8, .width = 8}), HasSubstr("store pixels"));
  EXPECT_THAT(refusal({.channels = 2}), HasSubstr("1 or 3 channels, not 2"));
}

TEST_F(ManyImages, ArraysThatDoNotFitAreRefused) {
  write_idx("train", false, 59);
  EXPECT_THAT(refusal(), AllOf(HasSubstr("-labels-idx1-ubyte has 59 labels for the 60 images")));
  write_idx("train", false);
  const std::string images = "in/train-images-idx3-ubyte";
  const std::string whole = read(images);
  write(images, whole.substr(0, 100));
  EXPECT_THAT(refusal(), HasSubstr(path(images) + " is cut short or corrupt"));
  write(images, whole + "x");
  EXPECT_THAT(refusal(), HasSubstr("is longer than its shape [60, 2, 3] says"));
  write(images, "\xff\xd8" + whole);
  EXPECT_THAT(refusal(), HasSubstr("is not an IDX file of bytes with 3 dims"));
  std::filesystem::remove(path("in/train-labels-idx1-ubyte"));
  EXPECT_THAT(refusal(), HasSubstr("has no file of labels"));
}

}  // namespace
}  // namespace fusor::testing
