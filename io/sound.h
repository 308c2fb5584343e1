#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace fusor {

// One channel. Samples lie in [-1, 1] where the file's are integers.
struct Sound {
  std::int64_t rate = 0;  // samples of a second
  std::vector<float> samples;

  double seconds() const { return static_cast<double>(samples.size()) / static_cast<double>(rate); }
};

// Whatever libsndfile reads (WAV, FLAC, Ogg Vorbis, Opus, MP3, ...), the mean of its channels.
// Throws Error with the file's name where it cannot be read, is truncated, holds no sample, or one
// that is not a number.
Sound read_sound(const std::string& path);
// The same of a file's bytes; `name` is what errors call it.
Sound decode_sound(std::span<const std::byte> file, const std::string& name);

// The largest |sample|.
float peak(std::span<const float> samples);

// The sound at `ratio` times as many samples a second, round(size * ratio) of them; soxr's high
// quality: nothing above 0.91 of the lower Nyquist frequency is lost, and what would fold is 120 dB
// down. Played at the old rate it is slower by `ratio`, and lower.
std::vector<float> resample(std::span<const float> samples, double ratio);

// A sound at another rate.
Sound at_rate(Sound sound, std::int64_t rate);

// The sound of a file as it is stored for training: of one channel, at this rate. Throws Error with
// the file's name where it is silent (never above -80 dB of full scale), shorter than 25 ms or
// longer than `most_seconds`.
std::vector<std::int16_t> training_pcm(const std::string& path, std::int64_t rate,
                                       double most_seconds);

// Samples as 16-bit integers, at 32768 to 1, rounded; what lies outside is clipped; and back.
std::vector<std::int16_t> pcm16(std::span<const float> samples);
std::vector<float> from_pcm16(std::span<const std::int16_t> samples);

}  // namespace fusor
