#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "models/image_classes.h"

namespace fusor {

// The shape of a residual network. He et al., "Deep residual learning for image recognition", CVPR
// 2016. The defaults are resnet50, version 1.5: the stride of a bottleneck is in its 3 x 3.
struct ResNetConfig {
  ImageClasses data{};
  bool bottleneck = true;                        // 1 x 1, 3 x 3, 1 x 1; else 3 x 3, 3 x 3
  std::vector<std::int64_t> blocks{3, 4, 6, 3};  // of each stage; from one to the next, half the
                                                 // rows and columns and twice the channels
  std::int64_t width = 64;                       // channels of the first stage's 3 x 3
  // For small images (section 4.2 there): a 3 x 3 and no pooling come first, and where shapes
  // change the shortcut is every second pixel with zeros for the new channels.
  bool small_images = false;
  bool zero_init_residual = true;  // each block starts as its shortcut: Goyal et al. 2017
  bool sync_batch_norm = false;    // statistics of the micro-batches of all of dp
  double running_rate = 0.1;       // of running statistics towards a step's mean
  double norm_eps = 1e-5;

  // Channels that a stage hands on.
  std::int64_t channels(std::int64_t stage) const {
    return (width << stage) * (bottleneck ? 4 : 1);
  }
  bool operator==(const ResNetConfig&) const = default;
};

// Throws Error when no such network can be built.
void check(const ResNetConfig&);

// resnet20, resnet32, resnet56, resnet18, resnet34 or resnet50. Throws Error that names the nearest
// one.
ResNetConfig resnet_preset(std::string_view name);
std::vector<std::string> resnet_preset_names();

}  // namespace fusor
