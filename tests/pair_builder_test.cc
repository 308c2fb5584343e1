#include "io/pair_builder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <map>

#include "io/record_dataset.h"
#include "tests/golden_image.h"
#include "tests/text_dataset.h"

namespace fusor::testing {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

class PairBuilderTest : public FolderTest {
 protected:
  std::string golden(const std::string& name) const {
    const auto bytes = golden_.file(name);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
  // A tenth of a second of a tone at 8 kHz, as a WAV file of 16 bits.
  static std::string tone(double hertz) {
    const auto number = [](std::uint32_t value, int bytes) {
      std::string text;
      for (int i = 0; i < bytes; ++i) text += static_cast<char>(value >> (8 * i));
      return text;
    };
    std::string samples;
    for (int i = 0; i < 800; ++i)
      samples +=
          number(static_cast<std::uint16_t>(std::lround(8000 * std::sin(hertz * i / 1273.24))), 2);
    return "RIFF" + number(36 + 1600, 4) + "WAVEfmt " + number(16, 4) + number(1, 2) +
           number(1, 2) + number(8000, 4) + number(16000, 4) + number(2, 2) + number(16, 2) +
           "data" + number(1600, 4) + samples;
  }
  PairBuildReport build(PairBuildConfig config) {
    config.output = path("set");
    std::filesystem::remove_all(config.output);
    config.num_threads = 2;
    config.rate = 8000;
    return build_pair_dataset(config);
  }
  const GoldenImages golden_;
};

TEST_F(PairBuilderTest, RowsHoldAnySubset) {
  write("in/a.png", golden("png.rgb"));
  write("in/a.wav", tone(440));
  const std::string table = write("in/list.csv",
                                  "image,sound,text,label\n"
                                  "a.png,a.wav,Blue waves,sea\n"
                                  ",a.wav,,\n"
                                  "a.png,,,land\n"
                                  ",,\"waves, two\",sea\n");
  const std::string vocab =
      write("vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nblue\nwave\n##s\n,\n");
  build({.input = table, .image_size = 16, .vocab = vocab, .held_out = {}});
  const RecordDataset data(path("set"), "train");
  const std::size_t image = data.index_of("image"), sound = data.index_of("sound"),
                    text = data.index_of("text"), tokens = data.index_of("tokens"),
                    label = data.index_of("label");
  EXPECT_THAT(data.manifest().splits[0].sets(),
              UnorderedElementsAre(Pair(31, 1), Pair(2, 1), Pair(17, 1), Pair(28, 1)));
  Image found(16, 16, 3);
  found.pixels = data.read<std::uint8_t>(image, 2);
  EXPECT_LE(distance(found, golden_.image("resize.bilinear.16x16")), 1);
  EXPECT_EQ(data.length(sound, 1), 800);
  EXPECT_EQ(data.field(sound).attributes.at("sample_rate"), "8000");
  EXPECT_THAT(data.read<char>(text, 0), ::testing::ElementsAreArray("Blue waves", 10));
  EXPECT_THAT(data.read<std::uint16_t>(tokens, 0), ElementsAre(5, 6, 7));
  EXPECT_THAT(data.read<std::uint16_t>(tokens, 3), ElementsAre(6, 7, 8, 1));
  EXPECT_THAT(data.field(label).names, ElementsAre("land", "sea"));
  EXPECT_THAT(data.column<std::int32_t>(label), ElementsAre(1, 0, 0, 1));
  EXPECT_TRUE(std::filesystem::exists(path("set/vocab.txt")));
}

TEST_F(PairBuilderTest, WhatSharesAnythingStaysTogether) {
  // Rows 4 i to 4 i + 3 are joined by a group, a text and an image; nothing joins the fours.
  std::string rows = "group,image,text\n";
  for (int i = 0; i < 40; ++i) {
    const std::string n = std::to_string(i), file = n + ".png", copy = n + "copy.png";
    write("in/" + file, golden("png.small") + n);
    write("in/" + copy, golden("png.small") + n);
    rows += "g" + n + "," + file + ",\n";
    rows += "g" + n + ",,text " + n + "\n";
    rows += ",,text " + n + "\n";
    rows += "," + copy + ",\n";
  }
  const std::string table = write("in/list.csv", rows);
  const auto torn = [&](bool texts) {
    build({.input = table, .equal_texts_together = texts, .held_out = {.val = 0.3, .test = 0.2}});
    std::map<std::uint64_t, int> sizes;
    for (const char* const split : {"train", "val", "test"})
      for (const std::uint64_t group : RecordDataset(path("set"), split).groups()) ++sizes[group];
    return sizes.size();
  };
  EXPECT_EQ(torn(true), 40u);
  EXPECT_EQ(torn(false), 80u);
  const RecordDataset val(path("set"), "val");
  EXPECT_GT(val.num_rows(), 10);
}

TEST_F(PairBuilderTest, BadRowsAreNamedAndCounted) {
  write("in/a.png", golden("png.rgb"));
  write("in/cut.png", golden("png.rgb").substr(0, 3000));
  write("in/silent.wav", tone(0));
  write("in/cut.wav", tone(440).substr(0, 20));
  const std::string table = write("in/list.csv",
                                  "image,sound,text,label\n"
                                  "a.png,,ok,1\n"
                                  "cut.png,,,1\n"
                                  ",silent.wav,,1\n"
                                  ",cut.wav,,1\n"
                                  ",,\xff,1\n"
                                  ",,,1\n"
                                  "none.png,,,1\n");
  EXPECT_THAT(thrown_by([&] { build({.input = table}); }),
              HasSubstr(table + " line 3: " + path("in/cut.png") + " is a corrupt PNG file"));
  const PairBuildReport report =
      build({.input = table, .held_out = {}, .on_bad_sample = OnBadSample::skip});
  EXPECT_EQ(report.bad.count(), 6);
  EXPECT_THAT(report.bad.first(), HasSubstr("line 3"));
  EXPECT_EQ(report.manifest.splits[0].num_rows(), 1);
  const std::string other = write("in/other.csv", "label\n1\n");
  EXPECT_THAT(thrown_by([&] { build({.input = other}); }),
              HasSubstr("has no column image, sound or text"));
}

}  // namespace
}  // namespace fusor::testing
