#include "launch/bert_task.h"

#include <algorithm>
#include <cmath>
#include <iomanip>
#include <sstream>

#include "io/checksum.h"
#include "models/bert.h"
#include "runtime/target.h"

namespace fusor {
namespace {

constexpr const char* kMaskPurpose = "data/mask";

// The place of a field in a batch of this shape.
std::size_t index_of(const BatchShape& shape, const std::string& name) {
  const auto found = std::ranges::find(shape.fields, name, &Field::name);
  require(found != shape.fields.end(), "a batch has no field '", name, "'");
  return static_cast<std::size_t>(found - shape.fields.begin());
}

// Where the fields of a sample stand in a batch. Without types nothing need be written for them:
// all tokens are of type 0, as in a fresh batch.
struct Places {
  std::size_t tokens, lengths, positions = 0, targets = 0, label = 0;
  explicit Places(const BatchShape& shape)
      : tokens(index_of(shape, "tokens")), lengths(index_of(shape, "lengths")) {
    if (shape.has("label"))
      label = index_of(shape, "label");
    else
      positions = index_of(shape, "positions"), targets = index_of(shape, "targets");
  }
};

// [CLS], the ids, `end` where there is one, then [PAD]; returns the length without padding.
std::int32_t frame(const WordPiece& vocab, std::span<const std::int32_t> ids,
                   std::optional<std::int32_t> end, std::span<std::int32_t> to) {
  std::ranges::fill(to, vocab.pad());
  to[0] = vocab.cls();
  std::ranges::copy(ids, to.begin() + 1);
  std::size_t length = 1 + ids.size();
  if (end) to[length++] = *end;
  return static_cast<std::int32_t>(length);
}

std::int64_t num_targets(const Batch& batch) {
  const auto targets = batch["targets"].host<std::int32_t>();
  return std::ssize(targets) - std::ranges::count(targets, kIgnoredTarget);
}

// The same micro-batches, counted by the words to predict.
BatchSource counting_words(BatchSource next) {
  return [next = std::move(next)](const Batch& to) {
    next(to);
    return num_targets(to);
  };
}

void fill(const Tensor& t, std::int32_t value) { std::ranges::fill(t.host<std::int32_t>(), value); }

std::span<std::int32_t> row_of(const Batch& batch, const char* field, std::int64_t i) {
  const auto all = batch[field].host<std::int32_t>();
  const auto each = all.size() / static_cast<std::size_t>(batch.shape.samples);
  return all.subspan(static_cast<std::size_t>(i) * each, each);
}

std::string percent(double part, std::int64_t of) {
  std::ostringstream text;
  text << std::fixed << std::setprecision(2) << 100 * part / static_cast<double>(of) << " %";
  return text.str();
}

}  // namespace

std::unique_ptr<Model> BertTask::model(const Mesh& mesh) const {
  return std::make_unique<Bert>(config_.bert, mesh);
}

BatchShape BertTask::shape(const RunSize& size) const {
  const std::int64_t n = size.micro_batch, words = config_.documents.predictions;
  BatchShape shape{
      "", n, {{"tokens", {n, size.seq_len}, DType::i32}, {"lengths", {n}, DType::i32}}};
  if (config_.bert.types > 0) shape.fields.push_back({"types", {n, size.seq_len}, DType::i32});
  if (predicts_words()) {
    shape.fields.push_back({"positions", {n, words}, DType::i32});
    shape.fields.push_back({"targets", {n, words}, DType::i32});
  } else {
    shape.fields.push_back({"label", {n}, DType::i32});
  }
  return shape;
}

Inputs BertTask::inputs(const RunSize& size, const Mesh&) const { return {{shape(size)}}; }

BertTask::Split BertTask::open_stream(const std::string& split) const {
  const std::string& path = config_.data.path;
  require(
      predicts_words(), path,
      " is text without labels, but model.head is classes: fusor data documents makes one with");
  const auto stream = std::make_shared<const Dataset>(
      path, split, DatasetOptions{.verify_checksums = config_.data.verify});
  require(stream->manifest().vocab.has_value(), path, " holds tokens of ",
          stream->manifest().tokenizer, ", but BERT reads word pieces: fusor data text --vocab");
  stream->num_samples(config_.data.seq_len - 1);  // throws when the split is too short
  return {.stream = stream,
          .documents = {},
          .tokens = {},
          .vocab = std::make_shared<const WordPiece>(read_vocab(path, *stream->manifest().vocab))};
}

BertTask::Split BertTask::open_documents(const std::string& split) const {
  const std::string& path = config_.data.path;
  const auto documents = std::make_shared<const RecordDataset>(
      path, split, DatasetOptions{.verify_checksums = config_.data.verify});
  const auto tokens = std::make_shared<const TokenField>(*documents, path, "tokens");
  if (!predicts_words()) {
    const auto known = std::ssize(documents->field(documents->index_of("label")).names);
    require(known <= config_.bert.classes, path, " has ", known, " classes but model.classes is ",
            config_.bert.classes);
  }
  return {
      .stream = {}, .documents = documents, .tokens = tokens, .vocab = {tokens, &tokens->vocab()}};
}

void BertTask::open(const std::string& split) {
  const std::string& path = config_.data.path;
  Split opened = read_schema(path) == "text" ? open_stream(split) : open_documents(split);
  require(opened.vocab->size() <= config_.bert.vocab_size, path, " has ", opened.vocab->size(),
          " token ids but model.vocab_size is ", config_.bert.vocab_size);
  splits_.insert_or_assign(split, std::move(opened));
}

std::string BertTask::fingerprint() const {
  const Split& split = splits_.begin()->second;
  const std::string manifest =
      split.stream ? to_text(split.stream->manifest()) : to_text(split.documents->manifest());
  return checksum_text(checksum(manifest.data(), manifest.size()));
}

std::shared_ptr<const Masking> BertTask::masking(const Split& split) const {
  if (!predicts_words()) return nullptr;
  return std::make_shared<const Masking>(MaskingConfig{.rate = config_.documents.mask_rate,
                                                       .whole_words = config_.documents.whole_words,
                                                       .capacity = config_.documents.predictions},
                                         *split.vocab);
}

RecordFeed BertTask::feed(const Split& split, const RunSize& size) const {
  const BatchShape shape = this->shape(size);
  const Places at(shape);
  std::shared_ptr<const std::vector<std::int32_t>> labels;
  if (!predicts_words())
    labels = std::make_shared<const std::vector<std::int32_t>>(
        split.documents->column<std::int32_t>(split.documents->index_of("label")));
  const RandomKey key = random_key(static_cast<std::uint64_t>(config_.train.seed), kMaskPurpose);
  return {
      .data = split.documents,
      .shape = shape,
      .transform =
          [=, tokens = split.tokens, mask = masking(split)](RecordBatch& batch, std::int64_t i) {
            const Sample& sample = batch.samples[static_cast<std::size_t>(i)];
            const auto to = batch.at<std::int32_t>(at.tokens, i);
            const auto ids = tokens->read(sample.row, std::ssize(to) - 2);
            batch.at<std::int32_t>(at.lengths, i)[0] =
                frame(tokens->vocab(), ids, tokens->vocab().sep(), to);
            if (mask)
              (*mask)(key, static_cast<std::uint64_t>(sample.position), to,
                      batch.at<std::int32_t>(at.positions, i),
                      batch.at<std::int32_t>(at.targets, i));
            else
              batch.at<std::int32_t>(at.label, i)[0] =
                  labels->at(static_cast<std::size_t>(sample.row));
          },
      .target = predicts_words() ? at.targets : at.label,
      .on_bad = config_.documents.on_bad_sample,
      .num_threads = static_cast<int>(config_.data.loader_threads),
      .depth = static_cast<int>(config_.data.prefetch)};
}

BatchSource BertTask::stream_batches(const Split& split, const LoaderConfig& config) const {
  const RandomKey key = random_key(static_cast<std::uint64_t>(config_.train.seed), kMaskPurpose);
  return [=, stream = split.stream, vocab = split.vocab, mask = masking(split),
          loader = std::make_shared<Loader>(*split.stream, config)](const Batch& to) {
    const TokenWindows windows = loader->next();
    const std::int64_t each = windows.seq_len;
    std::vector<std::int32_t> tokens(static_cast<std::size_t>(to.shape.samples * each));
    std::vector<std::int32_t> ignored(tokens.size());
    unpack(windows, tokens, ignored);
    if (to.has("types")) fill(to["types"], 0);
    for (std::int64_t i = 0; i < to.shape.samples; ++i) {
      const std::int64_t there = std::clamp<std::int64_t>(windows.num_targets - i * each, 0, each);
      const auto ids = std::span(tokens).subspan(static_cast<std::size_t>(i * each),
                                                 static_cast<std::size_t>(there));
      const auto row = row_of(to, "tokens", i);
      row_of(to, "lengths", i)[0] = frame(*vocab, ids, {}, row);
      (*mask)(key, static_cast<std::uint64_t>(windows.position + i), row,
              row_of(to, "positions", i), row_of(to, "targets", i));
    }
    return num_targets(to);
  };
}

BatchSource BertTask::training(const RunSize& size, const Mesh& mesh, std::int64_t step) const {
  const Split& split = splits_.at("train");
  const auto seed = static_cast<std::uint64_t>(config_.train.seed);
  if (split.stream)
    return stream_batches(split, {.seq_len = size.seq_len - 1,
                                  .global_batch = size.global_batch,
                                  .first = first_micro(size, mesh) * size.micro_batch,
                                  .count = size.accumulation * size.micro_batch,
                                  .micro_batch = size.micro_batch,
                                  .start_step = step,
                                  .sampling = Sampling::shuffled,
                                  .seed = seed,
                                  .num_threads = static_cast<int>(config_.data.loader_threads),
                                  .depth = static_cast<int>(config_.data.prefetch)});
  BatchSource next = training_batches(feed(split, size), size, mesh, seed, step);
  return predicts_words() ? counting_words(std::move(next)) : next;
}

HeldOut BertTask::held_out(const std::string& name, const RunSize& size, const Mesh& mesh) const {
  const Split& split = splits_.at(name);
  if (!split.stream) {
    HeldOut data = held_out_batches(feed(split, size), size, mesh);
    if (predicts_words()) data.next = counting_words(std::move(data.next));
    return data;
  }
  const LoaderConfig loader =
      evaluation_config(size.seq_len - 1, size.micro_batch, mesh.place.dp, mesh.shape.dp);
  const auto shape = std::make_shared<const BatchShape>(this->shape(size));
  return {.count = Loader(*split.stream, loader).num_steps(),
          .next = stream_batches(split, loader),
          .shape_of = [shape](std::int64_t) -> const BatchShape& { return *shape; }};
}

std::string BertTask::describe(const Evaluation& e) const {
  const double loss = e.loss / static_cast<double>(e.targets);
  std::ostringstream text;
  text << std::fixed << std::setprecision(4) << "loss " << loss;
  if (predicts_words())
    text << " nats per masked word, perplexity " << std::exp(loss) << ", " << e.targets << " words";
  else
    text << " nats, top-1 " << percent(e.measures.at(0), e.targets) << ", top-5 "
         << percent(e.measures.at(1), e.targets) << ", " << e.targets << " documents";
  return text.str();
}

}  // namespace fusor
