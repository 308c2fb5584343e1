#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace fusor {

// Whose numbers a front end gives: features of one kind are no input for a model of the other.
enum class FrontEnd {
  whisper,  // github.com/openai/whisper, audio.py
  kaldi     // Kaldi's fbank, as WeNet, ESPnet and icefall use it; without dither
};

struct LogMelConfig {
  FrontEnd front_end = FrontEnd::kaldi;
  std::int64_t rate = 16000;  // samples of a second; Whisper's is 16000
  std::int64_t bins = 80;
};

// A row of log-energies of a sound's mel bands for each 10 ms, from windows of 25 ms.
//
// whisper: centred windows of 400 samples (Hann, periodic) on the sound mirrored at its ends, the
//   last one left out; power; Slaney's mel scale and norm, 0 to 8000 Hz;
//   x = max(log10 max(energy, 1e-10), its maximum over the sound - 8); (x + 4) / 4.
//   Whisper's models want sounds padded with silence to 30 s first.
// kaldi: windows that fit; of samples times 32768; each less its mean, pre-emphasised by 0.97,
//   Povey's window, padded to a power of two; power; HTK's mel scale, 20 Hz to half the rate;
//   ln max(energy, 2^-23).
class LogMel {
 public:
  explicit LogMel(const LogMelConfig& config);  // throws Error where a band would be empty

  std::int64_t bins() const { return config_.bins; }
  // Of a sound of so many samples. A sound needs those of one window.
  std::int64_t frames(std::int64_t samples) const;
  std::int64_t least_samples() const { return window_size_; }

  // rows [frames, bins] of samples in [-1, 1]; from any number of threads. Throws Error where the
  // sound is too short, or rows have another size.
  void operator()(std::span<const float> samples, std::span<float> rows) const;

 private:
  // Weights of a band, of the spectrum's bins from `first` on.
  struct Band {
    std::size_t first;
    std::vector<float> weights;
  };
  void add_bands(double low_hz, double high_hz);
  void log_energies(std::span<const float> power, std::span<float> row) const;

  LogMelConfig config_;
  std::int64_t window_size_, shift_, fft_size_;  // samples
  std::vector<float> window_;
  std::vector<Band> bands_;
};

// Each bin of rows [frames, bins], less its mean, over its standard deviation (at least 1e-5), over
// the sound: cepstral mean and variance normalisation, by utterance.
void normalize_bins(std::span<float> rows, std::int64_t bins);

}  // namespace fusor
