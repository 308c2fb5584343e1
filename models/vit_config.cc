#include "models/vit_config.h"

#include <array>

#include "runtime/error.h"
#include "runtime/nearest.h"

namespace fusor {
namespace {

struct Preset {
  const char* name;
  std::int64_t width, heads;
};
constexpr std::array kPresets{Preset{"vit-ti", 192, 3}, Preset{"vit-s", 384, 6},
                              Preset{"vit-b", 768, 12}};

}  // namespace

void check(const ViTConfig& c) {
  check(c.data);
  require(c.patch > 0 && c.data.image_size % c.patch == 0, "model.patch ", c.patch,
          " should divide model.image_size ", c.data.image_size, ", the nearest that works: ",
          nearest_divisors(c.data.image_size, c.patch > 0 ? c.patch : 1));
  require(c.layers > 0 && c.block.width > 0 && c.block.heads > 0 && c.block.mlp_hidden > 0,
          "a ViT needs at least one layer, head and hidden unit");
  require(c.block.width % c.block.heads == 0, "model.heads ", c.block.heads,
          " should divide model.width ", c.block.width,
          ", the nearest that works: ", nearest_divisors(c.block.width, c.block.heads));
}

std::vector<std::string> vit_preset_names() {
  std::vector<std::string> names;
  for (const Preset& preset : kPresets) names.emplace_back(preset.name);
  return names;
}

ViTConfig vit_preset(std::string_view name) {
  for (const Preset& preset : kPresets)
    if (preset.name == name)
      return {
          .block = {.width = preset.width, .heads = preset.heads, .mlp_hidden = 4 * preset.width}};
  raise("unknown model preset \"" + std::string(name) + "\"" +
        did_you_mean_of(name, vit_preset_names()));
}

}  // namespace fusor
