#include "io/speech_builder.h"

#include <gmock/gmock.h>
#include <sndfile.h>

#include <cmath>
#include <iostream>
#include <set>
#include <sstream>

#include "io/record_dataset.h"
#include "launch/commands.h"
#include "tests/text_dataset.h"

namespace fusor::testing {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class SpeechBuilder : public FolderTest {
 protected:
  // A tone of so many seconds at 8000 Hz.
  void write_sound(const std::string& name, double seconds = 0.5, double loudness = 0.5) const {
    write(name, "");
    SF_INFO info{.frames = 0,
                 .samplerate = 8000,
                 .channels = 1,
                 .format = SF_FORMAT_WAV | SF_FORMAT_PCM_16,
                 .sections = 0,
                 .seekable = 0};
    SNDFILE* const file = sf_open(path(name).c_str(), SFM_WRITE, &info);
    ASSERT_TRUE(file) << sf_strerror(nullptr);
    std::vector<float> x(static_cast<std::size_t>(8000 * seconds));
    for (std::size_t i = 0; i < x.size(); ++i)
      x[i] = static_cast<float>(loudness * std::sin(0.3 * static_cast<double>(i)));
    sf_write_float(file, x.data(), std::ssize(x));
    sf_close(file);
  }
  void write_pair(const std::string& name, const std::string& text) const {
    write_sound(name + ".wav");
    write(name + ".txt", text);
  }
  SpeechBuildConfig config(const std::string& input) const {
    return {.input = path(input), .output = path("set"), .held_out = {}};
  }
  static std::string text_at(const RecordDataset& data, std::int64_t row) {
    const auto bytes = data.read<char>(data.index_of("text"), row);
    return {bytes.begin(), bytes.end()};
  }
};

TEST_F(SpeechBuilder, PacksAFolder) {
  write_pair("in/a/1", "Ja,  ja.\n");
  write_pair("in/b/2", "Nee!");
  write("in/readme.md", "no sound");
  SpeechBuildConfig c = config("in");
  c.letters_only = true;
  const SpeechBuildReport report = build_speech_dataset(c);
  EXPECT_NEAR(report.seconds, 1, 1e-9);
  const RecordDataset data(path("set"), "train");
  ASSERT_EQ(data.num_rows(), 2);
  EXPECT_EQ(text_at(data, 0), "ja ja");
  EXPECT_THAT(data.field(data.index_of("labels")).names,
              ElementsAre("<blank>", "<unk>", " ", "a", "e", "j", "n", "<edge>"));
  EXPECT_THAT(data.read<std::int32_t>(data.index_of("labels"), 0), ElementsAre(5, 3, 2, 5, 3));
  EXPECT_EQ(data.field(data.index_of("sound")).attributes.at("sample_rate"), "16000");
  EXPECT_EQ(data.length(data.index_of("sound"), 0), 8000);
  const auto sound = data.read<std::int16_t>(data.index_of("sound"), 0);
  EXPECT_NEAR(sound[4000], 32768 * 0.5 * std::sin(0.3 * 2000), 200);
  EXPECT_NE(data.groups()[0], data.groups()[1]);
}

TEST_F(SpeechBuilder, SplitsATableByGroup) {
  std::string table = "text,path,group\n";
  for (int i = 0; i < 40; ++i) {
    const std::string name = std::to_string(i) + ".wav";
    write_sound("in/" + name, 0.1);
    table +=
        "\"text, " + std::to_string(i % 2) + "\"," + name + ",level" + std::to_string(i / 2) + '\n';
  }
  write("in/all.csv", table);
  SpeechBuildConfig c = config("in/all.csv");
  c.held_out = {.val = 0.3, .test = 0.3};
  build_speech_dataset(c);
  std::set<std::uint64_t> groups;
  std::int64_t rows = 0;
  for (const char* split : {"train", "val", "test"}) {
    const RecordDataset data(path("set"), split);
    const auto of = data.groups();
    const std::set<std::uint64_t> own(of.begin(), of.end());
    EXPECT_EQ(std::ssize(own) * 2, data.num_rows());
    for (const std::uint64_t group : own) EXPECT_TRUE(groups.insert(group).second);
    rows += data.num_rows();
  }
  EXPECT_EQ(rows, 40);
  c.output = path("unseen");
  c.drop_seen_texts = true;
  EXPECT_THAT(thrown_by([&] { build_speech_dataset(c); }), HasSubstr("val"))
      << "every held-out text is one of the training split's";
}

TEST_F(SpeechBuilder, NamesEveryBadSample) {
  write_pair("in/good", "good");
  write_pair("in/broken", "\xff");
  write_pair("in/empty", " \n");
  write_sound("in/mute.wav");  // its text is missing
  write_sound("in/silent.wav", 0.5, 0);
  write("in/silent.txt", "silent");
  write_sound("in/short.wav", 0.01);
  write("in/short.txt", "short");
  write_sound("in/long.wav", 3);
  write("in/long.txt", "long");
  write_pair("in/cut", "cut");
  std::filesystem::resize_file(path("in/cut.wav"), 1000);
  write("in/none.wav", "no sound");
  write("in/none.txt", "none");
  SpeechBuildConfig c = config("in");
  c.most_seconds = 2;
  EXPECT_THAT(thrown_by([&] { build_speech_dataset(c); }),
              HasSubstr("in/broken.wav: its text cannot be used: byte 0"));
  EXPECT_FALSE(std::filesystem::exists(path("set")));
  c.on_bad_sample = OnBadSample::skip;
  const SpeechBuildReport report = build_speech_dataset(c);
  EXPECT_THAT(report.skipped,
              ::testing::UnorderedElementsAre(
                  HasSubstr("in/broken.wav: its text"), HasSubstr("in/empty.wav: its text"),
                  HasSubstr("in/mute.wav: its text"), HasSubstr("in/silent.wav is silent"),
                  HasSubstr("in/short.wav takes 0.01 s, not 0.025 to 2"),
                  HasSubstr("in/long.wav takes 3 s"), HasSubstr("in/cut.wav is truncated"),
                  HasSubstr("in/none.wav cannot be read as sound")));
  EXPECT_EQ(RecordDataset(path("set"), "train").num_rows(), 1);
}

TEST_F(SpeechBuilder, IsACommand) {
  for (int i = 0; i < 10; ++i)
    write_pair("in/" + std::to_string(i) + "/a", "text " + std::to_string(i));
  std::ostringstream printed;
  auto* const before = std::cout.rdbuf(printed.rdbuf());
  data_command({"speech", "--input", path("in"), "--output", path("set"), "--rate", "8000",
                "--units", "words", "--val-fraction", "0.3"});
  std::cout.rdbuf(before);
  EXPECT_THAT(printed.str(),
              AllOf(HasSubstr("  train: "), HasSubstr("  val: "), HasSubstr(" labels\n")));
  EXPECT_THAT(
      thrown_by([&] {
        data_command({"speech", "--input", path("in"), "--output", path("x"), "--rate", "5"});
      }),
      HasSubstr("--rate must be 1000 to 192000, not 5"));
  EXPECT_THAT(thrown_by([&] {
                data_command({"speech", "--input", path("no"), "--output", path("x")});
              }),
              HasSubstr(path("no")));
}

}  // namespace
}  // namespace fusor::testing
