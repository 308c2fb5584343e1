#include "models/speech_config.h"

#include <array>

#include "runtime/error.h"
#include "runtime/nearest.h"

namespace fusor {
namespace {

struct Preset {
  const char* name;
  SpeechEncoder encoder;
  std::int64_t channels, layers, width, heads, mlp_hidden;
};
constexpr std::array kPresets{
    Preset{"ctc-transformer", SpeechEncoder::transformer, 256, 12, 256, 4, 2048},
    Preset{"ctc-transformer-s", SpeechEncoder::transformer, 32, 6, 144, 4, 576},
    Preset{"ctc-lstm", SpeechEncoder::lstm, 32, 4, 640, 1, 1},
    Preset{"ctc-lstm-s", SpeechEncoder::lstm, 32, 3, 256, 1, 1}};

}  // namespace

void check(const SpeechConfig& c) {
  require(c.labels > 1, "model.labels ", c.labels, " leaves nothing to tell apart");
  require(subsampled(c.bins) > 0, "model.bins ", c.bins, " are too few: at least 7");
  require(c.layers > 0 && c.channels > 0 && c.max_frames > 0, "model.layers ", c.layers,
          ", model.channels ", c.channels, " and model.max_frames ", c.max_frames,
          " must be above 0");
  const bool lstm = c.encoder == SpeechEncoder::lstm;
  require(!lstm || c.block.width % 2 == 0, "model.width ", c.block.width,
          " is not twice the states of a direction");
  require(lstm || (c.block.heads > 0 && c.block.width % c.block.heads == 0), "model.heads ",
          c.block.heads, " should divide model.width ", c.block.width,
          ", the nearest that works: ", nearest_divisors(c.block.width, c.block.heads));
}

std::vector<std::string> speech_preset_names() {
  std::vector<std::string> names;
  for (const Preset& preset : kPresets) names.emplace_back(preset.name);
  return names;
}

SpeechConfig speech_preset(std::string_view name) {
  for (const Preset& p : kPresets) {
    if (p.name != name) continue;
    SpeechConfig config;
    config.encoder = p.encoder, config.channels = p.channels, config.layers = p.layers;
    config.block.width = p.width, config.block.heads = p.heads;
    config.block.mlp_hidden = p.mlp_hidden;
    return config;
  }
  raise("unknown model preset \"" + std::string(name) + "\"" +
        did_you_mean_of(name, speech_preset_names()));
}

}  // namespace fusor
