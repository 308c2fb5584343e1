#include "io/sound.h"

#include <sndfile.h>
#include <soxr.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "io/file.h"
#include "runtime/error.h"
#include "runtime/handle.h"

namespace fusor {
namespace {

// A file's bytes as libsndfile reads them.
struct Bytes {
  std::span<const std::byte> all;
  sf_count_t at = 0;
};

Bytes& bytes_of(void* user) { return *static_cast<Bytes*>(user); }

sf_count_t seek(sf_count_t offset, int whence, void* user) {
  Bytes& b = bytes_of(user);
  const auto size = static_cast<sf_count_t>(b.all.size());
  const sf_count_t from = whence == SEEK_CUR ? b.at : whence == SEEK_END ? size : 0;
  return b.at = std::clamp(from + offset, sf_count_t{0}, size);
}

sf_count_t read(void* to, sf_count_t count, void* user) {
  Bytes& b = bytes_of(user);
  count = std::clamp(count, sf_count_t{0}, static_cast<sf_count_t>(b.all.size()) - b.at);
  std::memcpy(to, b.all.data() + b.at, static_cast<std::size_t>(count));
  b.at += count;
  return count;
}

SF_VIRTUAL_IO reads_bytes() {
  const auto size = [](void* user) { return static_cast<sf_count_t>(bytes_of(user).all.size()); };
  const auto tell = [](void* user) { return bytes_of(user).at; };
  return {.get_filelen = size, .seek = seek, .read = read, .write = nullptr, .tell = tell};
}

void close_sound(SNDFILE* file) { sf_close(file); }
using SoundFile = Handle<SNDFILE*, close_sound>;

bool begins_with(std::span<const std::byte> bytes, std::string_view tag) {
  return bytes.size() >= tag.size() && std::memcmp(bytes.data(), tag.data(), tag.size()) == 0;
}

// The whole of an Ogg page (RFC 3533, 6) that is marked as the last of its stream.
bool is_last_page(std::span<const std::byte> page) {
  constexpr std::size_t kFlags = 5, kSegments = 26, kHeader = 27;
  constexpr auto kLast = std::byte{4};
  if (page.size() < kHeader || (page[kFlags] & kLast) != kLast) return false;
  std::size_t size = kHeader + static_cast<std::size_t>(page[kSegments]);
  for (std::size_t i = kHeader, end = std::min(size, page.size()); i < end; ++i)
    size += static_cast<std::size_t>(page[i]);
  return size <= page.size();
}

// libsndfile reads what is there of a file that was cut off, and says nothing. A WAV file tells its
// length in its first bytes (or 0, or 2^32 - 1, where it was written to a pipe).
bool is_truncated(std::span<const std::byte> file) {
  if (begins_with(file, "RIFF") && file.size() >= 8) {
    std::uint32_t size;
    std::memcpy(&size, file.data() + 4, sizeof(size));
    return size != 0 && size != std::numeric_limits<std::uint32_t>::max() &&
           std::uint64_t{size} + 8 > file.size();
  }
  if (!begins_with(file, "OggS")) return false;
  std::size_t page = file.size();
  while (!begins_with(file.subspan(page), "OggS")) --page;
  return !is_last_page(file.subspan(page));
}

std::vector<float> mean_of_channels(const std::vector<float>& frames, std::size_t channels) {
  std::vector<float> mean(frames.size() / channels);
  for (std::size_t i = 0; i < mean.size(); ++i) {
    float sum = 0;
    for (std::size_t c = 0; c < channels; ++c) sum += frames[i * channels + c];
    mean[i] = sum / static_cast<float>(channels);
  }
  return mean;
}

}  // namespace

Sound decode_sound(std::span<const std::byte> file, const std::string& name) {
  require(!file.empty(), name, " is empty");
  Bytes bytes{file};
  SF_VIRTUAL_IO io = reads_bytes();
  SF_INFO info{};
  const SoundFile opened(sf_open_virtual(&io, SFM_READ, &info, &bytes));
  require(static_cast<bool>(opened), name, " cannot be read as sound: ", sf_strerror(nullptr));
  require(!is_truncated(file), name, " is truncated");
  const auto channels = static_cast<std::size_t>(info.channels);
  constexpr sf_count_t kAtOnce = 1 << 16;  // frames; what the header says of their number is a hint
  std::vector<float> frames;
  for (sf_count_t got = kAtOnce; got > 0;) {
    const std::size_t before = frames.size();
    frames.resize(before + kAtOnce * channels);
    got = sf_readf_float(opened.get(), frames.data() + before, kAtOnce);
    frames.resize(before + static_cast<std::size_t>(got) * channels);
  }
  require(sf_error(opened.get()) == SF_ERR_NO_ERROR, name, ": ", sf_strerror(opened.get()));
  require(info.frames == SF_COUNT_MAX ||
              frames.size() >= static_cast<std::size_t>(info.frames) * channels,
          name, " is truncated");
  require(!frames.empty(), name, " holds no sample");
  require(std::ranges::all_of(frames, [](float x) { return std::isfinite(x); }), name,
          " holds a sample that is not a number");
  return {info.samplerate, channels == 1 ? std::move(frames) : mean_of_channels(frames, channels)};
}

Sound read_sound(const std::string& path) {
  const File file(path);
  std::vector<std::byte> bytes(file.size());
  file.read(bytes, 0);
  return decode_sound(bytes, path);
}

float peak(std::span<const float> samples) {
  float most = 0;
  for (const float x : samples) most = std::max(most, std::abs(x));
  return most;
}

std::vector<float> resample(std::span<const float> samples, double ratio) {
  require(ratio > 0 && std::isfinite(ratio), "a sound cannot be resampled by ", ratio);
  std::vector<float> to(static_cast<std::size_t>(
      std::llround(static_cast<double>(samples.size()) * ratio)));  // silent where soxr gives less
  const soxr_quality_spec_t quality = soxr_quality_spec(SOXR_HQ, 0);
  const soxr_error_t error =
      soxr_oneshot(1, ratio, 1, samples.data(), samples.size(), nullptr, to.data(), to.size(),
                   nullptr, nullptr, &quality, nullptr);
  require(!error, "resampling by ", ratio, ": ", error);
  return to;
}

Sound at_rate(Sound sound, std::int64_t rate) {
  if (sound.rate == rate) return sound;
  return {rate,
          resample(sound.samples, static_cast<double>(rate) / static_cast<double>(sound.rate))};
}

std::vector<std::int16_t> training_pcm(const std::string& path, std::int64_t rate,
                                       double most_seconds) {
  constexpr float kSilence = 1e-4f;
  constexpr double kLeastSeconds = 0.025;
  const Sound sound = at_rate(read_sound(path), rate);
  require(peak(sound.samples) > kSilence, path, " is silent");
  require(kLeastSeconds <= sound.seconds() && sound.seconds() <= most_seconds, path, " takes ",
          sound.seconds(), " s, not ", kLeastSeconds, " to ", most_seconds);
  return pcm16(sound.samples);
}

std::vector<std::int16_t> pcm16(std::span<const float> samples) {
  std::vector<std::int16_t> to(samples.size());
  std::ranges::transform(samples, to.begin(), [](float x) {
    return static_cast<std::int16_t>(std::lround(std::clamp(x * 32768.0f, -32768.0f, 32767.0f)));
  });
  return to;
}

std::vector<float> from_pcm16(std::span<const std::int16_t> samples) {
  std::vector<float> to(samples.size());
  std::ranges::transform(samples, to.begin(),
                         [](std::int16_t x) { return static_cast<float>(x) / 32768; });
  return to;
}

}  // namespace fusor
