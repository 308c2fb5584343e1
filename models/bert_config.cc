#include "models/bert_config.h"

#include <array>

#include "runtime/error.h"
#include "runtime/nearest.h"

namespace fusor {
namespace {

struct Preset {
  const char* name;
  std::int64_t layers, width;
};
// There is a head for each 64 units of the width.
constexpr std::array kPresets{Preset{"bert-tiny", 2, 128},  Preset{"bert-mini", 4, 256},
                              Preset{"bert-small", 4, 512}, Preset{"bert-medium", 8, 512},
                              Preset{"bert-base", 12, 768}, Preset{"bert-large", 24, 1024}};

}  // namespace

void check(const BertConfig& c) {
  require(c.vocab_size > 0, "model.vocab_size ", c.vocab_size, " must be at least 1");
  require(c.seq_len > 1, "model.seq_len ", c.seq_len, " has no room for [CLS] and a token");
  require(c.types >= 0, "model.types ", c.types, " must be at least 0");
  require(c.layers > 0 && c.block.width > 0 && c.block.heads > 0 && c.block.mlp_hidden > 0,
          "a BERT needs at least one layer, head and hidden unit");
  require(c.block.width % c.block.heads == 0, "model.heads ", c.block.heads,
          " should divide model.width ", c.block.width,
          ", the nearest that works: ", nearest_divisors(c.block.width, c.block.heads));
  require(c.classes > 1, "model.classes ", c.classes, " leaves nothing to tell apart");
  require(0 <= c.label_smoothing && c.label_smoothing < 1, "model.label_smoothing ",
          c.label_smoothing, " is not in [0, 1)");
  require(0 <= c.block.dropout && c.block.dropout < 1, "model.dropout ", c.block.dropout,
          " must be at least 0 and below 1");
}

std::vector<std::string> bert_preset_names() {
  std::vector<std::string> names;
  for (const Preset& preset : kPresets) names.emplace_back(preset.name);
  return names;
}

BertConfig bert_preset(std::string_view name) {
  for (const Preset& preset : kPresets) {
    if (preset.name != name) continue;
    BertConfig config{.layers = preset.layers};
    config.block.width = preset.width;
    config.block.heads = preset.width / 64;
    config.block.mlp_hidden = 4 * preset.width;
    return config;
  }
  raise("unknown model preset \"" + std::string(name) + "\"" +
        did_you_mean_of(name, bert_preset_names()));
}

}  // namespace fusor
