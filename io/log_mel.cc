#include "io/log_mel.h"

#include <kissfft/kiss_fftr.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <numbers>

#include "runtime/error.h"
#include "runtime/handle.h"

namespace fusor {
namespace {

// Slaney, "Auditory toolbox", 1998: linear below 1000 Hz, logarithmic above.
struct SlaneyMel {
  static constexpr double kHzOfMel = 200.0 / 3, kKnee = 1000;  // Hz
  static double step() { return std::log(6.4) / 27; }
  static double of_hz(double hz) {
    return hz < kKnee ? hz / kHzOfMel : kKnee / kHzOfMel + std::log(hz / kKnee) / step();
  }
  static double to_hz(double mel) {
    constexpr double knee = kKnee / kHzOfMel;
    return mel < knee ? mel * kHzOfMel : kKnee * std::exp((mel - knee) * step());
  }
};

// The HTK book, 5.4.
double htk_mel(double hz) { return 1127 * std::log(1 + hz / 700); }

// A triangle over low, middle and high at x.
double triangle(double low, double middle, double high, double x) {
  return std::max(0.0, std::min((x - low) / (middle - low), (high - x) / (high - middle)));
}

void free_fft(kiss_fftr_cfg fft) { kiss_fftr_free(fft); }

// The power spectrum of real numbers, for one thread.
class PowerSpectrum {
 public:
  explicit PowerSpectrum(std::int64_t size)
      : fft_(kiss_fftr_alloc(static_cast<int>(size), 0, nullptr, nullptr)),
        spectrum_(static_cast<std::size_t>(size / 2 + 1)),
        power_(spectrum_.size()) {}

  std::span<const float> of(const std::vector<float>& x) {
    kiss_fftr(fft_.get(), x.data(), spectrum_.data());
    std::ranges::transform(spectrum_, power_.begin(),
                           [](const kiss_fft_cpx& z) { return z.r * z.r + z.i * z.i; });
    return power_;
  }

 private:
  Handle<kiss_fftr_cfg, free_fft> fft_;
  std::vector<kiss_fft_cpx> spectrum_;
  std::vector<float> power_;
};

std::vector<float> hann_window(std::int64_t size) {
  std::vector<float> w(static_cast<std::size_t>(size));
  for (std::size_t i = 0; i < w.size(); ++i)
    w[i] = static_cast<float>(0.5 - 0.5 * std::cos(2 * std::numbers::pi * static_cast<double>(i) /
                                                   static_cast<double>(size)));
  return w;
}

std::vector<float> povey_window(std::int64_t size) {
  std::vector<float> w(static_cast<std::size_t>(size));
  for (std::size_t i = 0; i < w.size(); ++i)
    w[i] = static_cast<float>(
        std::pow(0.5 - 0.5 * std::cos(2 * std::numbers::pi * static_cast<double>(i) /
                                      static_cast<double>(size - 1)),
                 0.85));
  return w;
}

// A window of x from `begin` on, which may lie outside: mirrored at the ends, these not repeated.
void whisper_window(std::span<const float> x, std::int64_t begin, std::span<const float> window,
                    std::vector<float>& to) {
  const auto last = std::ssize(x) - 1;
  for (std::size_t i = 0; i < window.size(); ++i) {
    std::int64_t at = std::abs(begin + static_cast<std::int64_t>(i));
    if (at > last) at = 2 * last - at;
    to[i] = x[static_cast<std::size_t>(at)] * window[i];
  }
}

// `to` is zero past the window.
void kaldi_window(std::span<const float> x, std::span<const float> window, std::vector<float>& to) {
  constexpr float kScale = 32768, kPreemphasis = 0.97f;
  double sum = 0;
  for (std::size_t i = 0; i < window.size(); ++i) sum += x[i];
  const auto mean = static_cast<float>(sum / static_cast<double>(window.size()));
  for (std::size_t i = 0; i < window.size(); ++i) {
    const float before = x[i > 0 ? i - 1 : 0] - mean;
    to[i] = kScale * ((x[i] - mean) - kPreemphasis * before) * window[i];
  }
}

// log10 of energies to Whisper's range, in place.
void whisper_range(std::span<float> rows) {
  const float floor = *std::ranges::max_element(rows) - 8;
  for (float& x : rows) x = (std::max(x, floor) + 4) / 4;
}

}  // namespace

LogMel::LogMel(const LogMelConfig& config) : config_(config) {
  const bool whisper = config.front_end == FrontEnd::whisper;
  require(config.rate > 0 && config.bins > 0, "log-mel: rate ", config.rate, ", bins ",
          config.bins);
  require(!whisper || config.rate == 16000, "Whisper's front end is of sounds at 16000 Hz, not ",
          config.rate);
  window_size_ = config.rate * 25 / 1000;
  shift_ = config.rate / 100;
  require(shift_ > 0, "log-mel: a rate of ", config.rate, " Hz is too low");
  fft_size_ =
      whisper ? window_size_
              : static_cast<std::int64_t>(std::bit_ceil(static_cast<std::uint64_t>(window_size_)));
  window_ = whisper ? hann_window(window_size_) : povey_window(window_size_);
  add_bands(whisper ? 0 : 20, static_cast<double>(config.rate) / 2);
}

void LogMel::add_bands(double low_hz, double high_hz) {
  const bool whisper = config_.front_end == FrontEnd::whisper;
  const auto mel = whisper ? SlaneyMel::of_hz : htk_mel;
  const double low = mel(low_hz),
               step = (mel(high_hz) - low) / static_cast<double>(config_.bins + 1);
  // Kaldi's triangles are straight over mels, and its spectrum ends before the Nyquist frequency;
  // Whisper's are straight over Hz, each of area 1.
  const std::int64_t spectrum = fft_size_ / 2 + whisper;
  for (std::int64_t b = 0; b < config_.bins; ++b) {
    double corner[3];
    for (int i = 0; i < 3; ++i) {
      corner[i] = low + static_cast<double>(b + i) * step;
      if (whisper) corner[i] = SlaneyMel::to_hz(corner[i]);
    }
    const double scale = whisper ? 2 / (corner[2] - corner[0]) : 1;
    Band band{};
    for (std::int64_t k = 0; k < spectrum; ++k) {
      const double hz = static_cast<double>(k * config_.rate) / static_cast<double>(fft_size_);
      const double weight =
          scale * triangle(corner[0], corner[1], corner[2], whisper ? hz : mel(hz));
      if (weight <= 0) continue;
      if (band.weights.empty()) band.first = static_cast<std::size_t>(k);
      band.weights.push_back(static_cast<float>(weight));
    }
    require(!band.weights.empty(), "log-mel: ", config_.bins, " bins at ", config_.rate,
            " Hz are too many: bin ", b, " holds no frequency");
    bands_.push_back(std::move(band));
  }
}

std::int64_t LogMel::frames(std::int64_t samples) const {
  if (samples < window_size_) return 0;
  return config_.front_end == FrontEnd::whisper ? samples / shift_
                                                : 1 + (samples - window_size_) / shift_;
}

void LogMel::log_energies(std::span<const float> power, std::span<float> row) const {
  const bool whisper = config_.front_end == FrontEnd::whisper;
  for (std::size_t b = 0; b < row.size(); ++b) {
    const Band& band = bands_[b];
    const float* const of = power.data() + band.first;
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (std::size_t i = 0; i < band.weights.size(); ++i) sum += of[i] * band.weights[i];
    row[b] = whisper ? std::log10(std::max(sum, 1e-10f)) : std::log(std::max(sum, 0x1p-23f));
  }
}

void LogMel::operator()(std::span<const float> samples, std::span<float> rows) const {
  const std::int64_t count = frames(std::ssize(samples));
  require(count > 0, "a sound of ", samples.size(), " samples is shorter than a window of ",
          window_size_);
  require(std::ssize(rows) == count * config_.bins, "log-mel: ", rows.size(), " numbers for ",
          count, " x ", config_.bins);
  PowerSpectrum spectrum(fft_size_);
  std::vector<float> window(static_cast<std::size_t>(fft_size_));
  const auto bins = static_cast<std::size_t>(config_.bins);
  for (std::int64_t t = 0; t < count; ++t) {
    const std::int64_t at = t * shift_;
    if (config_.front_end == FrontEnd::whisper)
      whisper_window(samples, at - window_size_ / 2, window_, window);
    else
      kaldi_window(samples.subspan(static_cast<std::size_t>(at)), window_, window);
    log_energies(spectrum.of(window), rows.subspan(static_cast<std::size_t>(t) * bins, bins));
  }
  if (config_.front_end == FrontEnd::whisper) whisper_range(rows);
}

void normalize_bins(std::span<float> rows, std::int64_t bins) {
  const std::int64_t frames = std::ssize(rows) / bins;
  for (std::int64_t b = 0; b < bins; ++b) {
    const auto at = [&](std::int64_t t) -> float& {
      return rows[static_cast<std::size_t>(t * bins + b)];
    };
    double sum = 0, squares = 0;
    for (std::int64_t t = 0; t < frames; ++t) sum += at(t);
    const double mean = sum / static_cast<double>(frames);
    for (std::int64_t t = 0; t < frames; ++t) squares += (at(t) - mean) * (at(t) - mean);
    const double deviation = std::max(std::sqrt(squares / static_cast<double>(frames)), 1e-5);
    for (std::int64_t t = 0; t < frames; ++t)
      at(t) = static_cast<float>((at(t) - mean) / deviation);
  }
}

}  // namespace fusor
