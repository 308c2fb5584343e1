#include "launch/speech_task.h"

#include <array>
#include <iomanip>
#include <sstream>

#include "io/checksum.h"
#include "io/sound.h"
#include "io/sound_augment.h"
#include "models/speech.h"

namespace fusor {
namespace {

enum Fields : std::size_t { kFeatures, kCounts, kLabels, kLabelCounts };
enum Draws : std::uint64_t { kSpeed, kHasNoise, kNoise, kMasks };  // of a sample

// The rows of a split as a model reads them.
struct Sounds {
  std::shared_ptr<const RecordDataset> data;
  std::size_t sound, labels;
  std::int64_t rate;
  LogMel log_mel;
  SpeechDataConfig config;
  std::uint64_t seed;

  // What training makes of a sound. It stays as fast as it is where it would become too long.
  std::vector<float> varied(std::vector<float> x, RandomKey key, std::int64_t most) const {
    constexpr std::array kSpeeds{0.9, 1.0, 1.1};
    const double speed = config.speed ? drawn_speed(key, kSpeed, kSpeeds) : 1;
    std::vector<float> at = at_speed(x, speed);
    if (log_mel.frames(std::ssize(at)) <= most && std::ssize(at) >= log_mel.least_samples())
      x = std::move(at);
    if (uniform(key, kHasNoise) < config.noise)
      add_noise(x, key, kNoise, {config.least_snr, config.most_snr});
    return x;
  }
  void write(RecordBatch& batch, std::int64_t i, bool vary) const {
    const Sample& sample = batch.samples[static_cast<std::size_t>(i)];
    const std::span<float> features = batch.at<float>(kFeatures, i);
    const std::int64_t most = std::ssize(features) / log_mel.bins();
    const RandomKey key = sample.key(seed);
    std::vector<float> x = from_pcm16(data->read<std::int16_t>(sound, sample.row));
    const std::int64_t is = log_mel.frames(std::ssize(x)), count = data->length(labels, sample.row);
    const std::span<std::int32_t> to = batch.at<std::int32_t>(kLabels, i);
    require(0 < is && is <= most && count <= std::ssize(to), data->split(), '[', sample.row,
            "] has ", is, " frames and ", count, " labels, room is for 1 to ", most, " and ",
            to.size());
    if (vary) x = varied(std::move(x), key, most);
    const std::int64_t frames = log_mel.frames(std::ssize(x));
    const auto rows = features.first(static_cast<std::size_t>(frames * log_mel.bins()));
    log_mel(x, rows);
    normalize_bins(rows, log_mel.bins());
    if (vary) mask_spectrum(rows, log_mel.bins(), key, kMasks, config.masks);
    data->read(labels, sample.row, to.first(static_cast<std::size_t>(count)));
    batch.at<std::int32_t>(kCounts, i)[0] = static_cast<std::int32_t>(subsampled(frames));
    batch.at<std::int32_t>(kLabelCounts, i)[0] = static_cast<std::int32_t>(count);
  }
};

std::int64_t rate_of(const RecordDataset& data) {
  const auto& attributes = data.field(data.index_of("sound")).attributes;
  const auto found = attributes.find("sample_rate");
  require(found != attributes.end(), "the dataset does not tell the sample_rate of its sounds");
  return std::stoll(found->second);
}

}  // namespace

std::unique_ptr<Model> SpeechTask::model(const Mesh& mesh) const {
  return std::make_unique<Speech>(config_.speech, mesh);
}

BatchShape SpeechTask::shape(const RunSize& size) const {
  return speech_batch(config_.speech, size.micro_batch, config_.sounds.most_frames(),
                      config_.sounds.max_labels);
}

Inputs SpeechTask::inputs(const RunSize& size, const Mesh&) const { return {{shape(size)}}; }

void SpeechTask::open(const std::string& split) {
  const std::string& path = config_.data.path;
  const auto data = std::make_shared<const RecordDataset>(
      path, split, DatasetOptions{.verify_checksums = config_.data.verify});
  const auto labels = std::ssize(data->field(data->index_of("labels")).names);
  require(labels <= config_.speech.labels, path, " has ", labels, " labels but model.labels is ",
          config_.speech.labels);
  LogMel({config_.sounds.front_end, rate_of(*data), config_.speech.bins});  // can there be one?
  splits_[split] = data;
}

std::string SpeechTask::fingerprint() const {
  const std::string manifest = to_text(splits_.begin()->second->manifest());
  return checksum_text(checksum(manifest.data(), manifest.size()));
}

RecordFeed SpeechTask::feed(const std::string& split, const RunSize& size, bool varied) const {
  const std::shared_ptr<const RecordDataset> data = splits_.at(split);
  const std::int64_t rate = rate_of(*data);
  const auto sounds = std::make_shared<const Sounds>(
      Sounds{data, data->index_of("sound"), data->index_of("labels"), rate,
             LogMel({config_.sounds.front_end, rate, config_.speech.bins}), config_.sounds,
             static_cast<std::uint64_t>(config_.train.seed)});
  return {.data = data,
          .shape = shape(size),
          .transform = [=](RecordBatch& batch, std::int64_t i) { sounds->write(batch, i, varied); },
          .target = kLabels,
          .on_bad = config_.sounds.on_bad_sample,
          .num_threads = static_cast<int>(config_.data.loader_threads),
          .depth = static_cast<int>(config_.data.prefetch)};
}

BatchSource SpeechTask::training(const RunSize& size, const Mesh& mesh, std::int64_t step) const {
  return training_batches(feed("train", size, true), size, mesh,
                          static_cast<std::uint64_t>(config_.train.seed), step);
}

HeldOut SpeechTask::held_out(const std::string& split, const RunSize& size,
                             const Mesh& mesh) const {
  return held_out_batches(feed(split, size, false), size, mesh);
}

std::string SpeechTask::describe(const Evaluation& e) const {
  std::ostringstream text;
  text << std::fixed << std::setprecision(4) << "loss " << e.loss / static_cast<double>(e.targets)
       << " nats per sound, " << static_cast<std::int64_t>(e.measures.at(0)) << " of " << e.targets
       << " sounds too short for their texts";
  return text.str();
}

}  // namespace fusor
