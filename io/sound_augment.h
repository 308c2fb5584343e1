#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "runtime/random.h"

// Changes of sounds and their features that training draws anew each epoch. What is drawn is a
// function of the key, made of seed, purpose and epoch, and of the sample's place in the dataset.
namespace fusor {

// One of `speeds`, each as likely. 0.9: the sound is played slower, takes 1 / 0.9 of the time, and
// is lower. Ko et al., "Audio augmentation for speech recognition", Interspeech 2015.
double drawn_speed(RandomKey key, std::uint64_t sample, std::span<const double> speeds);
std::vector<float> at_speed(std::span<const float> samples, double speed);

// Adds white noise, or `noise` from a drawn place on, again from its start where it ends, at a
// signal-to-noise ratio in dB, of power over the whole sound, drawn from [low, high]. Silence
// stays silent.
struct SnrRange {
  double low, high;  // dB
};
void add_noise(std::span<float> samples, RandomKey key, std::uint64_t sample, SnrRange snr,
               std::span<const float> noise = {});

// Masks of SpecAugment: blocks of bins, and of frames, that become 0. A block's length is uniform
// on the integers [0, most], its place uniform among those where it fits.
// Park et al., "SpecAugment", Interspeech 2019; time warping is left out.
struct SpecAugment {
  std::int64_t bin_masks = 2;
  std::int64_t most_bins = 27;  // F
  std::int64_t frame_masks = 2;
  std::int64_t most_frames = 100;    // T
  double most_frame_fraction = 0.2;  // p: of the sound's frames
  bool operator==(const SpecAugment&) const = default;
};
void mask_spectrum(std::span<float> rows, std::int64_t bins, RandomKey key, std::uint64_t sample,
                   const SpecAugment& masks);

}  // namespace fusor
