#pragma once
#include <optional>
#include <string>
#include <vector>

#include "models/model.h"
#include "models/resnet_config.h"
#include "ops/conv2d.h"
#include "parallel/batch_norm.h"

namespace fusor {

// [relu](bn(conv(x)) [+ residual])   x [n, h, w, in]   y [n, p, q, out]
struct ConvNorm {
  Parameter w;  // [out, size, size, in], drawn with variance 2 / (out size^2): He et al. 2015
  Conv2dOptions conv;
  BatchNormLayer norm;

  // Named by the layer of each in torchvision: "layer1.0.conv1", "layer1.0.bn1". `gain`: of the
  // norm at the start.
  ConvNorm(const std::string& conv_name, const std::string& norm_name, const Shape& w,
           std::int64_t stride, const ResNetConfig&, const Group& statistics, double gain = 1);
  Var operator()(const Var& x, bool training, bool relu, const Var& residual = {}) const;
  void visit(const Visitor&);
};

// relu(convs(x) + shortcut(x)), where the shortcut is x if its shape stays.
struct ResNetBlock {
  std::string name;  // "layer1.0"
  std::vector<ConvNorm> convs;
  std::optional<ConvNorm> projection;  // a 1 x 1
  std::int64_t stride, channels;       // of the block

  // `in`: channels of x.
  ResNetBlock(const ResNetConfig&, std::int64_t stage, std::int64_t index, std::int64_t in,
              const Group& statistics);
  Var operator()(const Var& x, bool training) const;
  void visit(const Visitor&);

 private:
  Var shortcut(const Var& x, bool training) const;
};

// A residual network that tells the class of images. Parts: "stem", "layer1.0" and so on, "head".
// Parameters are named as torchvision's, filters lie [out, rows, columns, in].
class ResNet final : public Model {
 public:
  // Throws Error where the mesh splits the model by anything but pp, or no such network can be
  // built.
  explicit ResNet(const ResNetConfig&, const Mesh& mesh = {});

  const ResNetConfig& config() const { return config_; }
  std::vector<Part> parts() const override;
  Var run(int part, const std::vector<Var>& inputs, const Batch&, const Pass&) const override;
  Shape output_shape(int part, const BatchShape&) const override;
  void visit(int part, const Visitor&) override;
  using Model::visit;
  std::vector<std::string> measures() const override { return class_measures(); }

 private:
  Var stem(const Batch&, const Pass&) const;
  Var logits(const Var& x) const;
  // Rows, and columns, that the stem hands on.
  std::int64_t stem_size() const;

  ResNetConfig config_;
  ConvNorm stem_;
  std::vector<ResNetBlock> blocks_;
  Parameter head_w_, head_b_;
};

}  // namespace fusor
