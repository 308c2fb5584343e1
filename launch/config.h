#pragma once
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "io/bad_samples.h"
#include "io/image_augment.h"
#include "io/log_mel.h"
#include "io/sound_augment.h"
#include "models/bert_config.h"
#include "models/gpt_config.h"
#include "models/pipeline.h"
#include "models/resnet_config.h"
#include "models/speech_config.h"
#include "models/vit_config.h"
#include "parallel/reduction_tree.h"
#include "runtime/dtype.h"

namespace fusor {

enum class Decay { constant, linear, cosine };
// What moves tensors of GPUs between ranks: NCCL, or MPI through host memory. automatic: NCCL where
// each rank has a GPU of its own.
enum class TransportKind { automatic, nccl, mpi };
enum class TrainDevice { automatic, cpu, cuda };  // automatic: see launch/placement.h

// What a recipe's model is, and so which keys [model] and [data] have.
enum class Family : std::uint8_t {
  gpt,     // language models
  resnet,  // classes of images
  vit,     // the same
  speech,  // what is said
  bert,    // masked words, or classes of documents
};

struct DataConfig {
  std::string path;
  std::int64_t seq_len = 0;  // tokens per sample, of models of text
  std::int64_t loader_threads = 2;
  std::int64_t prefetch = 4;  // micro-batches
  bool verify = true;
  bool operator==(const DataConfig&) const = default;
};

// How training varies images (io/image_augment.h) and evaluation looks at them.
struct ImageDataConfig {
  Framing framing = Framing::random_crop;
  std::int64_t pad = 4;
  double least_area = 0.08;
  double flip = 0.5, degrees = 0;
  double brightness = 0, contrast = 0, saturation = 0;
  std::int64_t rand_augment = 0, magnitude = 9;
  double erase = 0, mixup = 0, cutmix = 0;
  double eval_part = 0.875;
  OnBadSample on_bad_sample = OnBadSample::fail;
  bool mixes() const { return mixup > 0 || cutmix > 0; }
  bool operator==(const ImageDataConfig&) const = default;
};

// What a model hears of a sound (io/log_mel.h), and how training varies it (io/sound_augment.h).
struct SpeechDataConfig {
  FrontEnd front_end = FrontEnd::kaldi;
  double max_seconds = 15;
  std::int64_t max_labels = 256;
  bool speed = true;
  double noise = 0, least_snr = 10, most_snr = 30;
  SpecAugment masks{};
  OnBadSample on_bad_sample = OnBadSample::skip;
  // Of a sound, one each 10 ms.
  std::int64_t most_frames() const { return static_cast<std::int64_t>(max_seconds * 100); }
  bool operator==(const SpeechDataConfig&) const = default;
};

// What BERT is to predict (io/masking.h), and documents that cannot be read.
struct DocumentDataConfig {
  double mask_rate = 0.15;
  std::int64_t predictions = 0;  // of a sample, at most
  bool whole_words = false;
  OnBadSample on_bad_sample = OnBadSample::fail;
  bool operator==(const DocumentDataConfig&) const = default;
};

struct ParallelConfig {
  std::int64_t dp = 0, tp = 1, pp = 1, cp = 1, ep = 1;
  std::int64_t zero = 0, shard = 0;
  bool sequence = false;  // split activations over tp between the split layers
  ScheduleKind schedule = ScheduleKind::one_f_one_b;
  std::int64_t stages = 1;  // on each pipeline rank
  std::string split;        // the parts of each stage; empty: by cost
  Recompute recompute = Recompute::none;
  std::int64_t recompute_layers = 0;
  Reduce reduce = Reduce::fast;
  double bucket_mb = 25;
  TransportKind transport = TransportKind::automatic;
  std::int64_t threads = 0;
  bool operator==(const ParallelConfig&) const = default;
};

// AdamW, https://arxiv.org/abs/1711.05101, and its learning rate's schedule.
struct OptimizerConfig {
  double lr = 6e-4, min_lr = 0;
  Decay schedule = Decay::cosine;
  std::int64_t warmup_steps = 0;
  double beta1 = 0.9, beta2 = 0.95, eps = 1e-8;
  double weight_decay = 0.1;
  double clip = 1;  // of the global gradient norm; 0: off
  bool operator==(const OptimizerConfig&) const = default;
};

struct TrainConfig {
  std::int64_t steps = 0, tokens = 0;
  std::int64_t global_batch = 0, micro_batch = 0, accumulation = 0;  // samples; 0: derived
  std::int64_t seed = 1;
  DType dtype = DType::f32;
  double loss_scale = 0;  // of f16; 0: found as the run goes
  TrainDevice device = TrainDevice::automatic;
  bool cuda_graph = true;
  std::int64_t eval_every = 0, eval_batches = 0;
  std::int64_t sample_every = 0, sample_tokens = 128;
  std::string sample_prompt;
  std::int64_t early_stop_patience = 0;
  std::string freeze;
  double early_stop_min_delta = 0;
  bool operator==(const TrainConfig&) const = default;
};

// What becomes of a weight that the checkpoint a new run begins with does not have, or has in
// another shape.
enum class OnMismatch : std::uint8_t { fail, fresh };

struct CheckpointConfig {
  std::int64_t every = 0, keep_last = 2, keep_every = 0;
  std::string resume = "auto";  // auto, never, must, or the folder of a checkpoint
  std::string begin_with;       // a checkpoint of another run, whose weights a new run begins with
  std::string rename;
  OnMismatch on_mismatch = OnMismatch::fail;
  bool operator==(const CheckpointConfig&) const = default;
};

struct LogConfig {
  std::string dir;  // the run's folder
  std::int64_t every = 1;
  std::string trace;  // a file for the ranks' spans; empty: none
  bool operator==(const LogConfig&) const = default;
};

// A recipe as a typed value: what each field means stands in launch/keys.h.
struct Config {
  std::string preset = "gpt2-124m";  // what the model's fields started from
  Family family = Family::gpt;       // the preset's
  // Of these, the family's; recipes know each by the name `model`.
  GptConfig model = gpt_preset(preset);
  ResNetConfig resnet{};
  ViTConfig vit{};
  SpeechConfig speech{};
  BertConfig bert{};
  DataConfig data;
  ImageDataConfig images;
  SpeechDataConfig sounds;
  DocumentDataConfig documents;
  ParallelConfig parallel;
  OptimizerConfig optimizer;
  TrainConfig train;
  CheckpointConfig checkpoint;
  LogConfig log;
  bool operator==(const Config&) const = default;
};

// Makes the model the preset's, whatever its family. Throws Error that names the nearest preset.
void apply_preset(Config& config, const std::string& preset);
// All presets, those of a family side by side, and one of each family.
std::vector<std::string> preset_names();
std::vector<std::string> families();

// What a family's resolve() calls: throws Error where the recipe splits the model along an axis
// that is not among `axes`: tp, pp, cp, ep, sequence. `model`: "a ResNet".
void require_axes(const Config& config, const std::string& model,
                  std::initializer_list<std::string_view> axes);

// The same config with the fields filled in that follow from others alone (model.kv_heads,
// model.mlp_hidden, data.seq_len). Throws Error when the fields contradict each other.
Config resolve(Config);

struct Difference {
  std::string key, before, after;
  bool fixed;  // the key must keep its value when a run resumes
};

// Every key whose value differs, in the order of the table.
std::vector<Difference> differences(const Config& before, const Config& after);

// Throws Error that names the first key, and both values, that keeps `now` from going on with a
// checkpoint saved by a run with `then`. `where` names that checkpoint.
void require_resumable(const Config& then, const Config& now, const std::string& where);

}  // namespace fusor
