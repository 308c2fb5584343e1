#include "models/resnet.h"

#include <cmath>

#include "ops/linear.h"
#include "ops/mean_pool.h"
#include "ops/pad_columns.h"
#include "ops/pool2d.h"
#include "ops/reshape.h"

namespace fusor {
namespace {

// Kaiming's normal start by what a filter's outputs reach, as in torchvision.
Fill kaiming(const Shape& w) {
  return {.std = std::sqrt(2.0 / static_cast<double>(w[0] * w[1] * w[2]))};
}

Group statistics_of(const ResNetConfig& c, const Mesh& mesh) {
  return c.sync_batch_norm ? mesh.data : Group();
}

constexpr Pool2dOptions kStemPool{
    .size = {3, 3}, .stride = {2, 2}, .before = {1, 1}, .after = {1, 1}};

}  // namespace

ConvNorm::ConvNorm(const std::string& conv_name, const std::string& norm_name, const Shape& w,
                   std::int64_t stride, const ResNetConfig& c, const Group& statistics, double gain)
    : w(conv_name + ".weight", w, kaiming(w)),
      conv(Conv2dOptions::padded(w[1] / 2, stride)),
      norm(norm_name, w[0], {.eps = c.norm_eps, .running_rate = c.running_rate, .gain = gain},
           statistics) {}

Var ConvNorm::operator()(const Var& x, bool training, bool relu, const Var& residual) const {
  return norm(conv2d(x, w, {}, conv), training, relu, residual);
}

void ConvNorm::visit(const Visitor& f) {
  f(w);
  norm.visit(f);
}

ResNetBlock::ResNetBlock(const ResNetConfig& c, std::int64_t stage, std::int64_t index,
                         std::int64_t in, const Group& statistics)
    : name("layer" + std::to_string(stage + 1) + "." + std::to_string(index)),
      stride(stage > 0 && index == 0 ? 2 : 1),
      channels(c.channels(stage)) {
  const auto add = [&](std::int64_t size, std::int64_t from, std::int64_t to, std::int64_t step,
                       bool last) {
    const std::string number = std::to_string(convs.size() + 1);
    convs.emplace_back(name + ".conv" + number, name + ".bn" + number, Shape{to, size, size, from},
                       step, c, statistics, last && c.zero_init_residual ? 0 : 1);
  };
  const std::int64_t width = c.width << stage;
  if (c.bottleneck) {
    add(1, in, width, 1, false);
    add(3, width, width, stride, false);
    add(1, width, channels, 1, true);
  } else {
    add(3, in, width, stride, false);
    add(3, width, channels, 1, true);
  }
  if (!c.small_images && (stride > 1 || in != channels))
    projection.emplace(name + ".downsample.0", name + ".downsample.1", Shape{channels, 1, 1, in},
                       stride, c, statistics);
}

Var ResNetBlock::shortcut(const Var& x, bool training) const {
  if (projection) return (*projection)(x, training, /*relu=*/false);
  Var y = x;
  if (stride > 1) y = mean_pool2d(y, {.size = {1, 1}, .stride = {stride, stride}});
  const std::int64_t in = y.value().dim(-1);
  return in == channels ? y : pad_columns(y, (channels - in) / 2, channels);
}

Var ResNetBlock::operator()(const Var& x, bool training) const {
  const Var residual = shortcut(x, training);
  Var y = x;
  for (const ConvNorm& layer : convs) {
    const bool last = &layer == &convs.back();
    y = layer(y, training, /*relu=*/true, last ? residual : Var());
  }
  return y;
}

void ResNetBlock::visit(const Visitor& f) {
  for (ConvNorm& layer : convs) layer.visit(f);
  if (projection) projection->visit(f);
}

ResNet::ResNet(const ResNetConfig& c, const Mesh& mesh)
    : config_(c),
      stem_("conv1", "bn1",
            c.small_images ? Shape{c.width, 3, 3, c.data.channels}
                           : Shape{c.width, 7, 7, c.data.channels},
            c.small_images ? 1 : 2, c, statistics_of(c, mesh)),
      head_w_(
          "fc.weight", {c.data.classes, c.channels(std::ssize(c.blocks) - 1)},
          {.std = 1 / std::sqrt(3.0 * static_cast<double>(c.channels(std::ssize(c.blocks) - 1)))}),
      head_b_("fc.bias", {c.data.classes}, {}) {
  check(c);
  require(mesh.tp.size() == 1 && mesh.cp.size() == 1 && mesh.ep.size() == 1,
          "a ResNet is split over dp and pp alone: tp ", mesh.tp.size(), ", cp ", mesh.cp.size(),
          " and ep ", mesh.ep.size(), " must be 1");
  std::int64_t in = c.width;
  for (std::int64_t stage = 0; stage < std::ssize(c.blocks); ++stage)
    for (std::int64_t i = 0; i < c.blocks[static_cast<std::size_t>(stage)]; ++i) {
      blocks_.emplace_back(c, stage, i, in, statistics_of(c, mesh));
      in = c.channels(stage);
    }
}

std::vector<Part> ResNet::parts() const {
  std::vector<Part> parts{{"stem", {}, /*reads_batch=*/true}};
  for (const ResNetBlock& block : blocks_)
    parts.push_back({block.name, {static_cast<int>(parts.size()) - 1}});
  parts.push_back({"head", {static_cast<int>(parts.size()) - 1}, /*reads_batch=*/true});
  return parts;
}

Var ResNet::run(int part, const std::vector<Var>& inputs, const Batch& batch,
                const Pass& pass) const {
  if (part == 0) return stem(batch, pass);
  const auto index = static_cast<std::size_t>(part) - 1;
  if (index < blocks_.size()) return blocks_[index](inputs.at(0), pass.training);
  return class_loss(config_.data, logits(inputs.at(0)), batch, pass);
}

Var ResNet::stem(const Batch& batch, const Pass& pass) const {
  const Tensor images = images_of(config_.data, batch, stem_.w.var.value().dtype());
  const Var y = stem_(Var::input(images, pass.tape), pass.training, /*relu=*/true);
  return config_.small_images ? y : max_pool2d(y, kStemPool);
}

Var ResNet::logits(const Var& x) const {
  const Shape& s = x.shape();  // [n, h, w, c]
  return linear(mean_pool(reshape(x, {s[0] * s[1] * s[2], s[3]}), s[0]), head_w_, head_b_);
}

std::int64_t ResNet::stem_size() const {
  const std::int64_t size = config_.data.image_size;
  return config_.small_images ? size : ((size - 1) / 2) / 2 + 1;
}

Shape ResNet::output_shape(int part, const BatchShape& batch) const {
  if (static_cast<std::size_t>(part) > blocks_.size()) return {1};
  std::int64_t size = stem_size(), channels = config_.width;
  for (int block = 0; block < part; ++block) {
    size = (size - 1) / blocks_[static_cast<std::size_t>(block)].stride + 1;
    channels = blocks_[static_cast<std::size_t>(block)].channels;
  }
  return {batch.samples, size, size, channels};
}

void ResNet::visit(int part, const Visitor& f) {
  const auto index = static_cast<std::size_t>(part) - 1;
  if (part == 0)
    stem_.visit(f);
  else if (index < blocks_.size())
    blocks_[index].visit(f);
  else
    f(head_w_), f(head_b_);
}

}  // namespace fusor
