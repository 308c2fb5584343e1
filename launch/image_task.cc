#include "launch/image_task.h"

#include <iomanip>
#include <sstream>

#include "io/checksum.h"
#include "io/image_augment.h"
#include "io/image_field.h"
#include "io/image_mix.h"
#include "models/resnet.h"
#include "models/vit.h"

namespace fusor {
namespace {

enum Fields : std::size_t { kImage, kLabel, kOtherLabel, kLabelShare };

// Images are scaled on the host, where erased parts become the mean.
Normalisation normalisation_of(const ImageClasses& c) {
  const auto channels = static_cast<std::ptrdiff_t>(c.channels);
  return {{c.pixels.mean.begin(), c.pixels.mean.begin() + channels},
          {c.pixels.std.begin(), c.pixels.std.begin() + channels}};
}

ImageAugment augment_of(const ImageDataConfig& d) {
  return {.framing = d.framing,
          .crop = {.least_area = d.least_area},
          .pad = d.pad,
          .flip = d.flip,
          .degrees = d.degrees,
          .brightness = d.brightness,
          .contrast = d.contrast,
          .saturation = d.saturation,
          .rand_augment_ops = static_cast<int>(d.rand_augment),
          .rand_augment_magnitude = static_cast<int>(d.magnitude),
          .erase = d.erase};
}

// What of each sample its label is besides the first, after images have been mixed.
void mix(RecordBatch& batch, const ImageClasses& c, const ImageMix& how, std::uint64_t seed) {
  const std::vector<MixedWith> mixed =
      mix_images(batch.field<float>(kImage), c.image_size, c.image_size, c.channels, batch.samples,
                 batch.valid, how, seed);
  const auto labels = batch.field<std::int32_t>(kLabel);
  const auto others = batch.field<std::int32_t>(kOtherLabel);
  const auto shares = batch.field<float>(kLabelShare);
  for (std::size_t i = 0; i < mixed.size(); ++i) {
    others[i] = labels[static_cast<std::size_t>(mixed[i].other)];
    shares[i] = mixed[i].share;
  }
}

std::string percent(double part, std::int64_t of) {
  std::ostringstream text;
  text << std::fixed << std::setprecision(2) << 100 * part / static_cast<double>(of) << " %";
  return text.str();
}

}  // namespace

ImageTask::ImageTask(const Config& config)
    : config_(config),
      classes_(config.family == Family::vit ? config.vit.data : config.resnet.data) {}

std::unique_ptr<Model> ImageTask::model(const Mesh& mesh) const {
  if (config_.family == Family::vit) return std::make_unique<ViT>(config_.vit, mesh);
  return std::make_unique<ResNet>(config_.resnet, mesh);
}

BatchShape ImageTask::shape(const RunSize& size) const {
  const std::int64_t n = size.micro_batch;
  BatchShape shape{
      "",
      n,
      {{"image", {n, classes_.image_size, classes_.image_size, classes_.channels}, DType::f32},
       {"label", {n}, DType::i32}}};
  if (config_.images.mixes()) {
    shape.fields.push_back({"other_label", {n}, DType::i32});
    shape.fields.push_back({"label_share", {n}, DType::f32});
  }
  return shape;
}

Inputs ImageTask::inputs(const RunSize& size, const Mesh&) const { return {{shape(size)}}; }

void ImageTask::open(const std::string& split) {
  const std::string& path = config_.data.path;
  const auto data = std::make_shared<const RecordDataset>(
      path, split, DatasetOptions{.verify_checksums = config_.data.verify});
  const ImageField images(*data, "image");
  require(images.channels() == classes_.channels, path, " has images of ", images.channels(),
          " channels but model.channels is ", classes_.channels);
  const auto known = std::ssize(data->field(data->index_of("label")).names);
  require(known <= classes_.classes, path, " has ", known, " classes but model.classes is ",
          classes_.classes);
  splits_[split] = data;
}

std::string ImageTask::fingerprint() const {
  const std::string manifest = to_text(splits_.begin()->second->manifest());
  return checksum_text(checksum(manifest.data(), manifest.size()));
}

RecordFeed ImageTask::feed(const std::string& split, const RunSize& size) const {
  const std::shared_ptr<const RecordDataset> data = splits_.at(split);
  const auto images = std::make_shared<const ImageField>(*data, "image");
  const auto labels = std::make_shared<const std::vector<std::int32_t>>(
      data->column<std::int32_t>(data->index_of("label")));
  const auto view = [c = classes_, part = config_.images.eval_part,
                     scale = normalisation_of(classes_)](const Image& image, std::span<float> to) {
    view_middle(image, part, c.image_size, c.image_size, ResizeFilter::bilinear, scale, to);
  };
  return {.data = data,
          .shape = shape(size),
          .transform =
              [=](RecordBatch& batch, std::int64_t i) {
                const std::int64_t row = batch.samples[static_cast<std::size_t>(i)].row;
                view(images->read(row), batch.at<float>(kImage, i));
                batch.at<std::int32_t>(kLabel, i)[0] = (*labels)[static_cast<std::size_t>(row)];
              },
          .target = kLabel,
          .on_bad = config_.images.on_bad_sample,
          .num_threads = static_cast<int>(config_.data.loader_threads),
          .depth = static_cast<int>(config_.data.prefetch)};
}

BatchSource ImageTask::training(const RunSize& size, const Mesh& mesh, std::int64_t step) const {
  RecordFeed varied = feed("train", size);
  const auto seed = static_cast<std::uint64_t>(config_.train.seed);
  const auto images = std::make_shared<const ImageField>(*varied.data, "image");
  const auto labels = std::make_shared<const std::vector<std::int32_t>>(
      varied.data->column<std::int32_t>(varied.data->index_of("label")));
  varied.transform = [=, c = classes_, how = augment_of(config_.images),
                      scale = normalisation_of(classes_)](RecordBatch& batch, std::int64_t i) {
    const Sample& sample = batch.samples[static_cast<std::size_t>(i)];
    augment(images->read(sample.row), how, sample.key(seed), c.image_size, c.image_size, scale,
            batch.at<float>(kImage, i));
    batch.at<std::int32_t>(kLabel, i)[0] = (*labels)[static_cast<std::size_t>(sample.row)];
  };
  if (config_.images.mixes())
    varied.complete = [=, c = classes_,
                       how = ImageMix{.mixup = config_.images.mixup,
                                      .cutmix = config_.images.cutmix}](RecordBatch& batch) {
      mix(batch, c, how, seed);
    };
  return training_batches(varied, size, mesh, seed, step);
}

HeldOut ImageTask::held_out(const std::string& split, const RunSize& size, const Mesh& mesh) const {
  return held_out_batches(feed(split, size), size, mesh);
}

std::string ImageTask::describe(const Evaluation& e) const {
  std::ostringstream text;
  text << std::fixed << std::setprecision(4) << "loss " << e.loss / static_cast<double>(e.targets)
       << " nats, top-1 " << percent(e.measures.at(0), e.targets) << ", top-5 "
       << percent(e.measures.at(1), e.targets) << ", " << e.targets << " images";
  return text.str();
}

}  // namespace fusor
