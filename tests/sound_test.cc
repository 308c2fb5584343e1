#include "io/sound.h"

#include <gmock/gmock.h>
#include <sndfile.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>
#include <numbers>

#include "runtime/error.h"
#include "tests/temporary_folder.h"

namespace fusor {
namespace {

std::vector<float> tone(double hz, double rate, double seconds) {
  std::vector<float> x(static_cast<std::size_t>(rate * seconds));
  for (std::size_t i = 0; i < x.size(); ++i)
    x[i] = static_cast<float>(0.5 *
                              std::sin(2 * std::numbers::pi * hz * static_cast<double>(i) / rate));
  return x;
}

void write(const std::string& path, int format, int rate, int channels,
           const std::vector<float>& x) {
  SF_INFO info{.frames = 0,
               .samplerate = rate,
               .channels = channels,
               .format = format,
               .sections = 0,
               .seekable = 0};
  SNDFILE* file = sf_open(path.c_str(), SFM_WRITE, &info);
  ASSERT_TRUE(file) << sf_strerror(nullptr);
  sf_write_float(file, x.data(), static_cast<sf_count_t>(x.size()));
  sf_close(file);
}

// The root of the mean square of a - b, of their middle.
double difference(std::span<const float> a, std::span<const float> b) {
  const std::size_t size = std::min(a.size(), b.size()), edge = size / 10;
  double sum = 0;
  for (std::size_t i = edge; i < size - edge; ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return std::sqrt(sum / static_cast<double>(size - 2 * edge));
}

std::string refusal(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

class SoundFiles : public testing::Test {
 protected:
  TemporaryFolder folder_;
  std::string path(const std::string& name) const { return folder_.path() + "/" + name; }
};

struct Format {
  const char* name;
  int code;
  double within;
};
constexpr Format kFormats[] = {{"a.wav", SF_FORMAT_WAV | SF_FORMAT_PCM_16, 2e-5},
                               {"a.flac", SF_FORMAT_FLAC | SF_FORMAT_PCM_16, 2e-5},
                               {"a.ogg", SF_FORMAT_OGG | SF_FORMAT_VORBIS, 2e-2},
                               {"a.opus", SF_FORMAT_OGG | SF_FORMAT_OPUS, 2e-2}};

TEST_F(SoundFiles, AreReadInEveryFormat) {
  const std::vector<float> x = tone(440, 16000, 0.5);
  for (const auto& [name, code, within] : kFormats) {
    write(path(name), code, 16000, 1, x);
    const Sound got = at_rate(read_sound(path(name)), 16000);
    EXPECT_EQ(got.samples.size(), x.size()) << name;
    EXPECT_LT(difference(got.samples, x), within) << name;
  }
}

TEST_F(SoundFiles, OfTwoChannelsGiveTheirMean) {
  write(path("a.wav"), SF_FORMAT_WAV | SF_FORMAT_FLOAT, 8000, 2, {1, 0, -0.5, 0.25, 0, -1});
  const Sound got = read_sound(path("a.wav"));
  EXPECT_EQ(got.rate, 8000);
  EXPECT_THAT(got.samples, testing::ElementsAre(0.5f, -0.125f, -0.5f));
}

TEST_F(SoundFiles, ThatWereCutOffAreRefused) {
  const std::vector<float> x = tone(440, 16000, 2);
  for (const auto& [name, code, within] : kFormats) {
    write(path(name), code, 16000, 1, x);
    std::filesystem::resize_file(path(name), std::filesystem::file_size(path(name)) * 2 / 3);
    const std::string why = refusal([&] { read_sound(path(name)); });
    EXPECT_THAT(why, testing::HasSubstr(path(name)));
    EXPECT_NE(why, "") << name;
  }
}

TEST_F(SoundFiles, ThatAreNoneAreRefused) {
  using testing::HasSubstr;
  std::ofstream(path("text.wav")) << "no sound at all";
  std::ofstream(path("empty.wav")).flush();
  write(path("none.wav"), SF_FORMAT_WAV | SF_FORMAT_PCM_16, 8000, 1, {});
  write(path("nan.wav"), SF_FORMAT_WAV | SF_FORMAT_FLOAT, 8000, 1, {0, NAN});
  EXPECT_THAT(refusal([&] { read_sound(path("text.wav")); }),
              HasSubstr("text.wav cannot be read as sound: "));
  EXPECT_THAT(refusal([&] { read_sound(path("empty.wav")); }), HasSubstr("empty.wav is empty"));
  EXPECT_THAT(refusal([&] { read_sound(path("none.wav")); }),
              HasSubstr("none.wav holds no sample"));
  EXPECT_THAT(refusal([&] { read_sound(path("nan.wav")); }),
              HasSubstr("nan.wav holds a sample that is not a number"));
  EXPECT_THAT(refusal([&] { read_sound(path("missing.wav")); }), HasSubstr("missing.wav"));
}

TEST(Resample, KeepsATone) {
  for (const auto& [from, to] :
       {std::pair{44100., 16000.}, {8000., 16000.}, {22050., 16000.}, {16000., 8000.}}) {
    const std::vector<float> got = resample(tone(1000, from, 1), to / from);
    EXPECT_EQ(got.size(), static_cast<std::size_t>(to));
    EXPECT_LT(difference(got, tone(1000, to, 1)), 1e-4) << from;
  }
}

TEST(Resample, LeavesNothingOfWhatWouldFold) {
  const std::vector<float> got = resample(tone(7000, 16000, 1), 0.5);
  EXPECT_LT(difference(got, std::vector<float>(got.size())), 1e-4);
}

TEST(Pcm16, RoundsAndClips) {
  const std::vector<float> x{0, 0.5, -1, 1, 2, -2, 0.4f / 32768, 0.6f / 32768};
  EXPECT_THAT(pcm16(x), testing::ElementsAre(0, 16384, -32768, 32767, 32767, -32768, 0, 1));
  EXPECT_THAT(from_pcm16(std::vector<std::int16_t>{-32768, 1}), testing::ElementsAre(-1, 0x1p-15f));
}

TEST(Sound, Peak) { EXPECT_EQ(peak(std::vector<float>{0.25f, -0.5f, 0}), 0.5f); }

}  // namespace
}  // namespace fusor
