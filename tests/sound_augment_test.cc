#include "io/sound_augment.h"

#include <gmock/gmock.h>

#include <cmath>
#include <map>
#include <set>

#include "runtime/error.h"

namespace fusor {
namespace {

const RandomKey kKey = random_key(1, "augment");

TEST(Speed, IsDrawnEvenly) {
  const std::vector<double> speeds{0.9, 1, 1.1};
  std::map<double, int> times;
  for (std::uint64_t i = 0; i < 3000; ++i) ++times[drawn_speed(kKey, i, speeds)];
  for (const double speed : speeds) EXPECT_NEAR(times[speed], 1000, 100) << speed;
  EXPECT_EQ(drawn_speed(kKey, 7, speeds), drawn_speed(kKey, 7, speeds));
}

TEST(Speed, ChangesLengthAndPitch) {
  std::vector<float> x(16000);
  for (std::size_t i = 0; i < x.size(); ++i)
    x[i] = static_cast<float>(std::sin(0.1 * static_cast<double>(i)));
  EXPECT_EQ(at_speed(x, 1), x);
  const std::vector<float> slow = at_speed(x, 0.9);
  EXPECT_EQ(slow.size(), 17778u);
  for (std::size_t i = 4000; i < 12000; ++i)
    ASSERT_NEAR(slow[i], std::sin(0.09 * static_cast<double>(i)), 1e-3) << i;
}

double power(std::span<const float> x) {
  double sum = 0;
  for (const float v : x) sum += v * v;
  return sum / static_cast<double>(x.size());
}

TEST(Noise, HasTheRatioThatIsAskedFor) {
  const std::vector<float> clean(20000, 0.5f), clip{1, -1, 2};
  for (const std::span<const float> noise :
       {std::span<const float>(), std::span<const float>(clip)}) {
    std::vector<float> x = clean;
    add_noise(x, kKey, 3, {10, 10}, noise);
    for (std::size_t i = 0; i < x.size(); ++i) x[i] -= clean[i];
    EXPECT_NEAR(10 * std::log10(0.25 / power(x)), 10, 1e-3);
  }
}

TEST(Noise, IsDrawnForEachSampleAndKey) {
  const std::vector<float> clean(100, 0.5f);
  std::set<std::vector<float>> all;
  for (const RandomKey key : {kKey, random_key(1, "augment", 1)})
    for (const std::uint64_t sample : {0, 1}) {
      std::vector<float> x = clean, again = clean;
      add_noise(x, key, sample, {5, 20});
      add_noise(again, key, sample, {5, 20});
      EXPECT_EQ(x, again);
      all.insert(x);
    }
  EXPECT_EQ(all.size(), 4u);
}

TEST(Noise, LeavesSilence) {
  std::vector<float> x(100);
  add_noise(x, kKey, 0, {5, 5});
  EXPECT_THAT(x, testing::Each(0));
}

// Rows and columns that are wholly 0, of rows that held none.
struct Masked {
  std::vector<bool> frames, bins;
};
Masked masked(std::int64_t frames, std::int64_t bins, std::uint64_t sample,
              const SpecAugment& masks) {
  std::vector<float> x(static_cast<std::size_t>(frames * bins), 1.0f);
  mask_spectrum(x, bins, kKey, sample, masks);
  Masked m{std::vector<bool>(static_cast<std::size_t>(frames), true),
           std::vector<bool>(static_cast<std::size_t>(bins), true)};
  const auto at = [&](std::int64_t t, std::int64_t b) {
    return x[static_cast<std::size_t>(t * bins + b)];
  };
  for (std::int64_t t = 0; t < frames; ++t)
    for (std::int64_t b = 0; b < bins; ++b)
      if (at(t, b) != 0)
        m.frames[static_cast<std::size_t>(t)] = m.bins[static_cast<std::size_t>(b)] = false;
  for (std::int64_t t = 0; t < frames; ++t)
    for (std::int64_t b = 0; b < bins; ++b)
      EXPECT_EQ(at(t, b) == 0,
                m.frames[static_cast<std::size_t>(t)] || m.bins[static_cast<std::size_t>(b)]);
  return m;
}

TEST(SpecAugment, MasksBlocksOfEveryLengthAndPlace) {
  const SpecAugment masks{.bin_masks = 1,
                          .most_bins = 3,
                          .frame_masks = 1,
                          .most_frames = 9,
                          .most_frame_fraction = 0.2};
  std::map<std::ptrdiff_t, int> bins, frames, first_bin;
  for (std::uint64_t sample = 0; sample < 4000; ++sample) {
    const Masked m = masked(20, 5, sample, masks);
    const auto count = [](const std::vector<bool>& of) { return std::ranges::count(of, true); };
    ++bins[count(m.bins)], ++frames[count(m.frames)];
    if (count(m.bins) == 2) ++first_bin[std::ranges::find(m.bins, true) - m.bins.begin()];
  }
  EXPECT_THAT(bins, testing::SizeIs(4));    // 0 to 3
  EXPECT_THAT(frames, testing::SizeIs(5));  // 0 to 0.2 * 20
  EXPECT_THAT(first_bin, testing::SizeIs(4));
  for (const auto& [length, times] : bins) EXPECT_NEAR(times, 1000, 120) << length;
  for (const auto& [length, times] : frames) EXPECT_NEAR(times, 800, 120) << length;
  for (const auto& [place, times] : first_bin) EXPECT_NEAR(times, 250, 60) << place;
}

TEST(SpecAugment, FitsWhateverTheSound) {
  for (const auto& [frames, bins] : {std::pair{1, 1}, {3, 80}, {500, 2}})
    masked(frames, bins, 0, {});
}

}  // namespace
}  // namespace fusor
