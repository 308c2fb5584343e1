// The same weights and images as tests/golden/make_vision.py gives PyTorch: losses, every gradient,
// and running statistics.
#include <gmock/gmock.h>

#include <algorithm>
#include <cmath>

#include "models/resnet.h"
#include "models/vit.h"
#include "parallel/optimizer_step.h"
#include "runtime/world.h"
#include "tests/golden.h"
#include "tests/near.h"

namespace fusor {
namespace {

constexpr double kF32 = 2e-5, kF64 = 1e-6;  // shares of a tensor's largest element
constexpr std::int64_t kBatch = 6;

ImageClasses data_of(std::int64_t size) {
  return {.image_size = size, .classes = 7, .label_smoothing = 0.1};
}
ResNetConfig resnet() { return {.data = data_of(32), .blocks = {1, 1}, .width = 4}; }
ResNetConfig resnet_small() {
  return {.data = data_of(8),
          .bottleneck = false,
          .blocks = {1, 1, 1},
          .width = 4,
          .small_images = true};
}
ViTConfig vit() {
  return {.data = data_of(8),
          .patch = 4,
          .layers = 2,
          .block = {.width = 16, .heads = 2, .mlp_hidden = 64}};
}

Batch batch_of(const Golden& golden) {
  Batch batch;
  batch.shape.samples = kBatch;
  for (const char* name : {"image", "label", "other_label", "label_share"}) {
    batch.values.push_back(golden.tensor(name));
    batch.shape.fields.push_back({name, batch.values.back().shape(), batch.values.back().dtype()});
  }
  return batch;
}

std::string stem(const std::string& name) { return name.substr(name.find('/') + 1); }

// What a model makes of the golden batch, against what PyTorch does.
void check(const std::string& name, Model& model, DType dtype) {
  const Golden golden(name);
  const double tolerance = dtype == DType::f64 ? kF64 : kF32;
  ParameterStore store(parameters_by_part(model), {.compute = dtype}, Mesh(), Device::heap(true));
  store.initialize(1);
  for (const auto& [box, weight] : store.state(false)) {
    const Tensor from = golden.tensor(stem(box.name));
    ASSERT_EQ(from.shape(), box.shape) << box.name;
    fill(weight, [values = doubles(from)](std::size_t i) { return values[i]; });
  }
  store.publish();
  const Batch batch = batch_of(golden);
  const Var told = model.loss(batch, {});
  EXPECT_EQ(told.shape(), (Shape{1 + std::ssize(model.measures())}));
  EXPECT_NEAR(at(told.value(), 0) / kBatch, golden.read<float>("eval_loss")[0], 1e-5);

  Tape tape;
  store.begin_micro(0);
  const Var loss = model.loss(batch, {.tape = &tape, .training = true});
  EXPECT_NEAR(at(loss.value(), 0) / kBatch, golden.read<float>("loss")[0], 1e-5);
  const Tensor share({1}, DType::f64);
  fill(share, [](std::size_t) { return 1.0 / kBatch; });
  tape.backward(loss, share);
  store.end_micro(0);
  OptimizerStep step({&store}, {}, Mesh(), Device());
  step.run({.lr = 0}, 1);
  const auto magnitude = [](double x) { return std::abs(x); };
  const auto expect_near = [&](const std::string& kind, const StateBox& got) {
    const Tensor want = golden.tensor(kind + stem(got.box.name)).view(got.tensor.shape());
    if (got.box.name.find("attn.k.bias") != std::string::npos)  // softmax ignores it
      EXPECT_LE(magnitude(std::ranges::max(doubles(got.tensor), {}, magnitude)), 1e-6)
          << got.box.name;
    else
      EXPECT_LE(distance(got.tensor, want), tolerance) << got.box.name << " " << dtype;
  };
  const auto is_statistic = [](const StateBox& box) {
    return box.box.name.find("running") != std::string::npos;
  };
  for (const StateBox& box : store.gradients()) {
    if (!is_statistic(box)) expect_near("grad.", box);
  }
  for (const StateBox& box : store.state(false)) {
    if (is_statistic(box)) expect_near("new.", box);
  }
}

TEST(VisionParity, OfABottleneckNetwork) {
  for (const DType dtype : {DType::f64, DType::f32}) {
    ResNet model(resnet());
    check("resnet", model, dtype);
  }
}

TEST(VisionParity, OfANetworkForSmallImages) {
  for (const DType dtype : {DType::f64, DType::f32}) {
    ResNet model(resnet_small());
    check("resnet_small", model, dtype);
  }
}

TEST(VisionParity, OfAVisionTransformer) {
  for (const DType dtype : {DType::f64, DType::f32}) {
    ViT model(vit());
    check("vit", model, dtype);
  }
}

// Sizes as published, of weights alone.
template <class M, class C>
std::int64_t size_of_model(const C& config) {
  M model(config);
  std::int64_t size = 0;
  for (const Parameter* p : parameters_of(model))
    if (p->running_rate == 0) size += num_elements(p->shape);
  return size;
}

TEST(VisionModels, AreAsLargeAsPublished) {
  EXPECT_EQ(size_of_model<ResNet>(resnet_preset("resnet18")), 11'689'512);
  EXPECT_EQ(size_of_model<ResNet>(resnet_preset("resnet34")), 21'797'672);
  EXPECT_EQ(size_of_model<ResNet>(resnet_preset("resnet50")), 25'557'032);
  EXPECT_EQ(size_of_model<ResNet>(resnet_preset("resnet20")), 269'722);
  EXPECT_EQ(size_of_model<ResNet>(resnet_preset("resnet56")), 853'018);
  EXPECT_EQ(size_of_model<ViT>(vit_preset("vit-ti")), 5'717'416);
  EXPECT_EQ(size_of_model<ViT>(vit_preset("vit-s")), 22'050'664);
  EXPECT_EQ(size_of_model<ViT>(vit_preset("vit-b")), 86'567'656);
}

}  // namespace
}  // namespace fusor
