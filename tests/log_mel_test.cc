#include "io/log_mel.h"

#include <gmock/gmock.h>

#include <cmath>
#include <numeric>

#include "runtime/error.h"
#include "tests/golden.h"

namespace fusor {
namespace {

std::vector<float> rows_of(const LogMelConfig& config, std::span<const float> sound) {
  const LogMel log_mel(config);
  std::vector<float> rows(
      static_cast<std::size_t>(log_mel.frames(std::ssize(sound)) * log_mel.bins()));
  log_mel(sound, rows);
  return rows;
}

// The faintest bands of a loud frame are what rounding makes them.
TEST(LogMel, IsTheReferences) {
  const Golden golden("log_mel");
  const std::vector<float> sound = golden.read<float>("sound");
  for (const auto& [name, config, worst, mean] :
       {std::tuple{"whisper", LogMelConfig{FrontEnd::whisper, 16000, 80}, 1e-4, 1e-6},
        {"kaldi", {FrontEnd::kaldi, 16000, 80}, 1e-2, 3e-5},
        {"kaldi_8k", {FrontEnd::kaldi, 8000, 40}, 1e-2, 3e-5}}) {
    const std::vector<float> got = rows_of(config, sound), want = golden.read<float>(name);
    ASSERT_EQ(got.size(), want.size()) << name;
    double most = 0, sum = 0;
    for (std::size_t i = 0; i < got.size(); ++i) {
      const double off = std::abs(got[i] - want[i]);
      most = std::max(most, off), sum += off;
    }
    EXPECT_LT(most, worst) << name;
    EXPECT_LT(sum / static_cast<double>(got.size()), mean) << name;
  }
}

TEST(LogMel, CountsFrames) {
  const LogMel whisper({FrontEnd::whisper}), kaldi({FrontEnd::kaldi});
  for (const LogMel* of : {&whisper, &kaldi}) {
    EXPECT_EQ(of->frames(399), 0);
    EXPECT_EQ(of->least_samples(), 400);
  }
  EXPECT_EQ(kaldi.frames(400), 1);
  EXPECT_EQ(kaldi.frames(559), 1);
  EXPECT_EQ(kaldi.frames(560), 2);
  EXPECT_EQ(whisper.frames(479), 2);
  EXPECT_EQ(whisper.frames(480000), 3000);
}

TEST(LogMel, OfSilenceIsFinite) {
  const std::vector<float> silence(1000);
  EXPECT_THAT(rows_of({FrontEnd::whisper}, silence),
              testing::Each(-1.5f));  // (log10 1e-10 + 4) / 4
  EXPECT_THAT(rows_of({FrontEnd::kaldi}, silence), testing::Each(std::log(0x1p-23f)));
}

std::string refusal(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(LogMel, RefusesInASentence) {
  using testing::HasSubstr;
  EXPECT_THAT(refusal([] {
                LogMel({FrontEnd::whisper, 8000, 80});
              }),
              HasSubstr("16000 Hz, not 8000"));
  EXPECT_THAT(refusal([] {
                LogMel({FrontEnd::kaldi, 8000, 200});
              }),
              HasSubstr("holds no frequency"));
  EXPECT_THAT(refusal([] {
                std::vector<float> rows;
                LogMel({})(std::vector<float>(399), rows);
              }),
              HasSubstr("399 samples is shorter than a window of 400"));
}

TEST(NormalizeBins, LeavesMeanZeroAndVarianceOne) {
  std::vector<float> rows{1, 7, 3, 7, 5, 7, 7, 7};  // two bins, of which one never changes
  normalize_bins(rows, 2);
  const float unit = 1 / std::sqrt(5.0f);
  EXPECT_THAT(rows,
              testing::Pointwise(testing::FloatNear(1e-6f),
                                 std::vector<float>{-3 * unit, 0, -unit, 0, unit, 0, 3 * unit, 0}));
}

}  // namespace
}  // namespace fusor
