#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "models/encoder.h"

namespace fusor {

enum class SpeechEncoder { transformer, lstm };

inline constexpr std::int64_t kCtcBlank = 0;  // of the labels

// The shape of a speech recogniser: convolutions that leave a quarter of the frames, an encoder,
// and a CTC head. The defaults are about Espnet's and WeNet's Transformer encoder of 12 layers.
struct SpeechConfig {
  std::int64_t bins = 80;         // of the features
  std::int64_t max_frames = 750;  // after subsampling: the positions that are learned
  std::int64_t labels = 5000;     // the blank included
  std::int64_t channels = 256;    // of the convolutions
  SpeechEncoder encoder = SpeechEncoder::transformer;
  std::int64_t layers = 12;
  // Of lstm, the width alone: half of it are the states of each direction.
  EncoderConfig block{
      .width = 256, .heads = 4, .mlp_hidden = 2048, .dropout = 0.1, .norm_eps = 1e-5};

  bool operator==(const SpeechConfig&) const = default;
};

// Throws Error when no such model can be built.
void check(const SpeechConfig&);

// "ctc-transformer" and so on. Throws Error that names the nearest one.
SpeechConfig speech_preset(std::string_view name);
std::vector<std::string> speech_preset_names();

// What two convolutions of 3 with stride 2, without padding, leave of frames or bins.
constexpr std::int64_t subsampled(std::int64_t n) {
  const auto half = [](std::int64_t of) { return of < 3 ? 0 : (of - 1) / 2; };
  return half(half(n));
}

}  // namespace fusor
