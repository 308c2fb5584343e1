// How much faster than it plays a sound becomes what a speech model reads, on one core: the front
// ends, resampling, and the augmentations of training.
// usage: log_mel_bench [seconds of sound]
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "benchmarks/compare.h"
#include "io/log_mel.h"
#include "io/sound.h"
#include "io/sound_augment.h"

namespace fusor {
namespace {

constexpr int kRate = 16000, kRuns = 7;

template <class F>
void measure(const char* what, double seconds, F&& f) {
  benchmark::Times times;
  f();
  for (int i = 0; i < kRuns; ++i) times.seconds.push_back(benchmark::seconds_of(f));
  std::printf("%-28s %7.0f times real time  +-%2.0f%%\n", what, seconds / times.median(),
              100 * times.spread());
}

void run(double seconds) {
  const RandomKey key = random_key(1, "bench");
  std::vector<float> sound(static_cast<std::size_t>(kRate * seconds));
  for (std::size_t i = 0; i < sound.size(); ++i) sound[i] = uniform(key, i) - 0.5f;
  for (const auto& [name, front_end] :
       {std::pair{"whisper, 80 bins", FrontEnd::whisper}, {"kaldi, 80 bins", FrontEnd::kaldi}}) {
    const LogMel log_mel({front_end});
    std::vector<float> rows(
        static_cast<std::size_t>(log_mel.frames(std::ssize(sound)) * log_mel.bins()));
    measure(name, seconds, [&] { log_mel(sound, rows); });
    if (front_end != FrontEnd::kaldi) continue;
    measure("normalize_bins", seconds, [&] { normalize_bins(rows, log_mel.bins()); });
    measure("mask_spectrum", seconds, [&] { mask_spectrum(rows, log_mel.bins(), key, 1, {}); });
  }
  measure("speed 0.9", seconds, [&] { at_speed(sound, 0.9); });
  measure("44100 to 16000 Hz", seconds * kRate / 44100, [&] { at_rate({44100, sound}, kRate); });
  measure("white noise", seconds, [&] { add_noise(sound, key, 1, {10, 20}); });
}

}  // namespace
}  // namespace fusor

int main(int argc, char** argv) { fusor::run(argc > 1 ? std::atof(argv[1]) : 10); }
