#include "io/sound_augment.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "io/sound.h"
#include "runtime/error.h"

namespace fusor {
namespace {

// The random numbers of one sample, one after the other.
class Draws {
 public:
  Draws(RandomKey key, std::uint64_t sample) : key_(key), sample_(sample) {}
  std::uint32_t bits() {
    const std::uint64_t i = next_++;
    if (i % 4 == 0) words_ = philox(key_, sample_, i / 4);
    return words_[i % 4];
  }
  double uniform() { return bits() * 0x1p-32; }  // [0, 1)
  // One of 0, ..., count - 1.
  std::int64_t below(std::int64_t count) {
    return static_cast<std::int64_t>(uniform() * static_cast<double>(count));
  }
  // Box and Muller's transform.
  float normal() {
    const double u = 1 - uniform(), v = uniform();
    return static_cast<float>(std::sqrt(-2 * std::log(u)) * std::cos(2 * std::numbers::pi * v));
  }

 private:
  RandomKey key_;
  std::uint64_t sample_, next_ = 0;
  std::array<std::uint32_t, 4> words_{};
};

double power(std::span<const float> x) {
  double sum = 0;
  for (const float v : x) sum += double{v} * v;
  return sum / static_cast<double>(x.size());
}

std::vector<float> noise_of(std::size_t size, std::span<const float> noise, Draws& draws) {
  std::vector<float> of(size);
  if (noise.empty()) {
    std::ranges::generate(of, [&] { return draws.normal(); });
    return of;
  }
  const auto first = static_cast<std::size_t>(draws.below(std::ssize(noise)));
  for (std::size_t i = 0; i < size; ++i) of[i] = noise[(first + i) % noise.size()];
  return of;
}

struct Block {
  std::int64_t begin, end;
};
Block drawn_block(Draws& draws, std::int64_t most, std::int64_t size) {
  const std::int64_t length = draws.below(std::min(most, size) + 1);
  const std::int64_t begin = draws.below(size - length + 1);
  return {begin, begin + length};
}

}  // namespace

double drawn_speed(RandomKey key, std::uint64_t sample, std::span<const double> speeds) {
  require(!speeds.empty(), "no speed to draw from");
  return speeds[static_cast<std::size_t>(Draws(key, sample).below(std::ssize(speeds)))];
}

std::vector<float> at_speed(std::span<const float> samples, double speed) {
  if (speed == 1) return {samples.begin(), samples.end()};
  return resample(samples, 1 / speed);
}

void add_noise(std::span<float> samples, RandomKey key, std::uint64_t sample, SnrRange snr,
               std::span<const float> noise) {
  Draws draws(key, sample);
  const double ratio = std::pow(10, (snr.low + (snr.high - snr.low) * draws.uniform()) / 10);
  const std::vector<float> drawn = noise_of(samples.size(), noise, draws);
  const double of_noise = power(drawn);
  if (of_noise == 0) return;
  const auto scale = static_cast<float>(std::sqrt(power(samples) / ratio / of_noise));
  for (std::size_t i = 0; i < samples.size(); ++i) samples[i] += scale * drawn[i];
}

void mask_spectrum(std::span<float> rows, std::int64_t bins, RandomKey key, std::uint64_t sample,
                   const SpecAugment& masks) {
  Draws draws(key, sample);
  const std::int64_t frames = std::ssize(rows) / bins;
  const auto row = [&](std::int64_t t) { return rows.begin() + t * bins; };
  for (std::int64_t i = 0; i < masks.bin_masks; ++i) {
    const Block block = drawn_block(draws, masks.most_bins, bins);
    for (std::int64_t t = 0; t < frames; ++t)
      std::fill(row(t) + block.begin, row(t) + block.end, 0.0f);
  }
  const auto fraction =
      static_cast<std::int64_t>(masks.most_frame_fraction * static_cast<double>(frames));
  for (std::int64_t i = 0; i < masks.frame_masks; ++i) {
    const Block block = drawn_block(draws, std::min(masks.most_frames, fraction), frames);
    std::fill(row(block.begin), row(block.end), 0.0f);
  }
}

}  // namespace fusor
