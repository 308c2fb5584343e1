#include "models/resnet_config.h"

#include <algorithm>

#include "runtime/error.h"
#include "runtime/nearest.h"

namespace fusor {
namespace {

struct Preset {
  const char* name;
  ResNetConfig config;
};

ResNetConfig imagenet(bool bottleneck, std::vector<std::int64_t> blocks) {
  return {.bottleneck = bottleneck, .blocks = std::move(blocks)};
}

// 6 n + 2 layers, for CIFAR-10.
ResNetConfig cifar(std::int64_t n) {
  return {.data = {.image_size = 32,
                   .classes = 10,
                   .pixels = {.mean = {0.4914f, 0.4822f, 0.4465f},
                              .std = {0.2470f, 0.2435f, 0.2616f, 1}}},
          .bottleneck = false,
          .blocks = {n, n, n},
          .width = 16,
          .small_images = true};
}

const std::vector<Preset>& presets() {
  static const std::vector<Preset> all{
      {"resnet18", imagenet(false, {2, 2, 2, 2})},
      {"resnet34", imagenet(false, {3, 4, 6, 3})},
      {"resnet50", imagenet(true, {3, 4, 6, 3})},
      {"resnet20", cifar(3)},
      {"resnet32", cifar(5)},
      {"resnet56", cifar(9)},
  };
  return all;
}

}  // namespace

void check(const ResNetConfig& c) {
  check(c.data);
  require(!c.blocks.empty() && c.blocks.size() <= 8 && std::ranges::min(c.blocks) > 0,
          "a ResNet has 1 to 8 stages of at least one block each");
  require(c.width > 0, "model.width ", c.width, " leaves no channels");
  require(0 < c.running_rate && c.running_rate <= 1, "model.running_rate ", c.running_rate,
          " is not in (0, 1]");
}

std::vector<std::string> resnet_preset_names() {
  std::vector<std::string> names;
  for (const Preset& preset : presets()) names.emplace_back(preset.name);
  return names;
}

ResNetConfig resnet_preset(std::string_view name) {
  for (const Preset& preset : presets())
    if (preset.name == name) return preset.config;
  raise("unknown model preset \"" + std::string(name) + "\"" +
        did_you_mean_of(name, resnet_preset_names()));
}

}  // namespace fusor
