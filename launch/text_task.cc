#include "launch/text_task.h"

#include <cmath>
#include <iomanip>
#include <numbers>
#include <sstream>

#include "io/checksum.h"
#include "runtime/random.h"
#include "runtime/target.h"

namespace fusor {
namespace {

LoaderConfig training_loader(const Config& config, const RunSize& size, std::int64_t first_micro,
                             std::int64_t step) {
  return {.seq_len = size.seq_len,
          .global_batch = size.global_batch,
          .first = first_micro * size.micro_batch,
          .count = size.accumulation * size.micro_batch,
          .micro_batch = size.micro_batch,
          .start_step = step,
          .sampling = Sampling::shuffled,
          .seed = static_cast<std::uint64_t>(config.train.seed),
          .num_threads = static_cast<int>(config.data.loader_threads),
          .depth = static_cast<int>(config.data.prefetch)};
}

TextSource batches_of(std::shared_ptr<Loader> loader) {
  return [loader = std::move(loader)](std::span<std::int32_t> tokens,
                                      std::span<std::int32_t> targets) {
    unpack(loader->next(), tokens, targets);
  };
}

}  // namespace

RowMap rows_of(const RunSize& size, const Mesh& mesh) {
  return RowMap::zigzag(0, size.seq_len, mesh.place.cp, mesh.shape.cp);
}

BatchSource text_batches(TextSource next, const RowMap& rows, std::int64_t vocab) {
  return [=](const Batch& to) {
    std::vector<std::int32_t> all_tokens(static_cast<std::size_t>(to.shape.samples * rows.seq_len));
    std::vector<std::int32_t> all_targets(all_tokens.size());
    next(all_tokens, all_targets);
    const auto require_known = [vocab](std::int32_t token) {
      require(0 <= token && token < vocab, "the data hold token ", token,
              ", which a model of model.vocab_size ", vocab, " does not know");
    };
    const auto tokens = to["tokens"].host<std::int32_t>(),
               targets = to["targets"].host<std::int32_t>();
    std::int64_t count = 0;
    for (std::size_t r = 0; r < tokens.size(); ++r) {
      const auto from = static_cast<std::size_t>(rows.global_row(static_cast<std::int64_t>(r)));
      require_known(tokens[r] = all_tokens[from]);
      targets[r] = all_targets[from];
      if (targets[r] == kIgnoredTarget) continue;
      require_known(targets[r]);
      ++count;
    }
    return count;
  };
}

std::unique_ptr<Model> TextTask::model(const Mesh& mesh) const {
  return std::make_unique<Gpt>(config_.model, mesh);
}

Inputs TextTask::inputs(const RunSize& size, const Mesh& mesh) const {
  return {{token_batch(size.micro_batch, rows_of(size, mesh))}};
}

void TextTask::open(const std::string& split) {
  const Dataset& data = splits_
                            .try_emplace(split, config_.data.path, split,
                                         DatasetOptions{.verify_checksums = config_.data.verify})
                            .first->second;
  require(data.vocab_size() <= config_.model.vocab_size, config_.data.path, " has ",
          data.vocab_size(), " token ids but model.vocab_size is ", config_.model.vocab_size);
  data.num_samples(config_.data.seq_len);  // throws when the split is too short
}

std::string TextTask::fingerprint() const {
  const std::string manifest = to_text(splits_.begin()->second.manifest());
  return checksum_text(checksum(manifest.data(), manifest.size()));
}

BatchSource TextTask::training(const RunSize& size, const Mesh& mesh, std::int64_t step) const {
  const auto loader = std::make_shared<Loader>(
      splits_.at("train"), training_loader(config_, size, first_micro(size, mesh), step));
  return text_batches(batches_of(loader), rows_of(size, mesh), config_.model.vocab_size);
}

HeldOut TextTask::held_out(const std::string& split, const RunSize& size, const Mesh& mesh) const {
  const auto loader = std::make_shared<Loader>(
      splits_.at(split),
      evaluation_config(size.seq_len, size.micro_batch, mesh.place.dp, mesh.shape.dp));
  const auto shapes = std::make_shared<Inputs>(inputs(size, mesh));
  return {.count = loader->num_steps(),
          .next = text_batches(batches_of(loader), rows_of(size, mesh), config_.model.vocab_size),
          .shape_of = [shapes](std::int64_t) -> const BatchShape& { return shapes->shapes[0]; }};
}

std::string TextTask::describe(const Evaluation& e) const {
  const double loss = e.loss / static_cast<double>(e.targets);
  const bool bytes = !splits_.empty() && splits_.begin()->second.manifest().tokenizer == "bytes";
  std::ostringstream text;
  text << std::fixed << std::setprecision(4) << "loss " << loss << " nats per token, "
       << loss / std::numbers::ln2 << (bytes ? " bits per byte" : " bits per token")
       << ", perplexity " << std::exp(loss) << ", " << e.targets << " tokens";
  return text.str();
}

double TextTask::flops_per_step(const RunSize& size) const {
  return static_cast<double>(size.tokens_per_step()) * flops_per_token(config_.model, size.seq_len);
}

std::unique_ptr<Sampler> TextTask::sampler(const Model& model, const Device& device) const {
  return std::make_unique<Sampler>(config_, dynamic_cast<const Gpt&>(model), device);
}

BatchSource RandomTextTask::training(const RunSize& size, const Mesh& mesh,
                                     std::int64_t first_step) const {
  const std::int64_t vocab = config().model.vocab_size, first = first_micro(size, mesh);
  const auto seed = static_cast<std::uint64_t>(config().train.seed);
  const TextSource next = [=, count = std::int64_t{0}](std::span<std::int32_t> tokens,
                                                       std::span<std::int32_t> targets) mutable {
    const std::int64_t step = first_step + count / size.accumulation;
    const std::int64_t sample = (first + count % size.accumulation) * size.micro_batch;
    const RandomKey key = random_key(seed, "tokens", static_cast<std::uint64_t>(step));
    const auto words = static_cast<std::uint64_t>(vocab);
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      const auto at = static_cast<std::uint64_t>(sample * size.seq_len) + i;
      tokens[i] = static_cast<std::int32_t>(random_bits(key, at) % words);
      targets[i] = static_cast<std::int32_t>(random_bits(key, at + 1) % words);
    }
    ++count;
  };
  return text_batches(next, rows_of(size, mesh), vocab);
}

double flops_per_token(const GptConfig& config, std::int64_t seq_len) {
  return 6 * static_cast<double>(num_active_parameters(config)) +
         6 * static_cast<double>(config.layers * config.width * seq_len);
}

}  // namespace fusor
