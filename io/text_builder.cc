#include "io/text_builder.h"

#include <optional>
#include <span>
#include <string_view>

#include "io/checksum.h"
#include "io/dataset_folder.h"
#include "io/shard.h"
#include "io/shard_file.h"
#include "io/stored_vocab.h"
#include "io/text_files.h"
#include "runtime/error.h"

namespace fusor {
namespace {

// Gathers the documents of one split and writes a shard whenever one is full.
class SplitWriter {
 public:
  SplitWriter(std::string folder, std::string name, TokenType type, std::int64_t shard_bytes)
      : folder_(std::move(folder)),
        type_(type),
        shard_bytes_(shard_bytes),
        split_{std::move(name), {}} {}

  // Whole tokens of the type, at least one.
  void add(std::span<const std::byte> document) {
    if (!tokens_.empty() && std::ssize(tokens_) + std::ssize(document) > shard_bytes_) flush();
    tokens_.insert(tokens_.end(), document.begin(), document.end());
    offsets_.push_back(std::ssize(tokens_) / size_of(type_));
  }

  SplitInfo finish() {
    if (!tokens_.empty()) flush();
    return std::move(split_);
  }

 private:
  void flush() {
    split_.shards.push_back(write_text_shard(folder_, shard_name(split_.name, split_.shards.size()),
                                             type_, tokens_, offsets_));
    tokens_.clear();
    offsets_.assign(1, 0);
  }

  std::string folder_;
  TokenType type_;
  std::int64_t shard_bytes_;
  SplitInfo split_;
  std::vector<std::byte> tokens_;
  std::vector<std::int64_t> offsets_{0};
};

// Gathers documents until they are worth the threads that cut them into pieces.
class PieceWriter {
 public:
  PieceWriter(const WordPiece& tokenizer, TokenType type, int num_threads, std::int64_t& num_empty)
      : tokenizer_(tokenizer), type_(type), num_threads_(num_threads), num_empty_(num_empty) {}

  void add(std::string_view document, SplitWriter& to) {
    documents_.emplace_back(document);
    to_.push_back(&to);
    bytes_ += std::ssize(document);
    if (bytes_ >= kBatchBytes) flush();
  }

  void flush() {
    const std::vector<std::string_view> texts(documents_.begin(), documents_.end());
    const TokenRows rows = tokenizer_.encode(texts, num_threads_);
    std::vector<std::byte> stored;
    for (std::size_t i = 0; i < to_.size(); ++i) {
      if (rows.offsets[i] == rows.offsets[i + 1]) {
        ++num_empty_;
        continue;
      }
      stored.clear();
      for (std::int64_t at = rows.offsets[i]; at < rows.offsets[i + 1]; ++at)
        store(rows.ids[static_cast<std::size_t>(at)], stored);
      store(tokenizer_.sep(), stored);
      to_[i]->add(stored);
    }
    documents_.clear();
    to_.clear();
    bytes_ = 0;
  }

 private:
  static constexpr std::int64_t kBatchBytes = std::int64_t{8} << 20;

  // Little-endian: of u16 the lower half.
  void store(std::int32_t id, std::vector<std::byte>& to) const {
    const auto bytes = std::as_bytes(std::span(&id, 1));
    to.insert(to.end(), bytes.begin(), bytes.begin() + size_of(type_));
  }

  const WordPiece& tokenizer_;
  TokenType type_;
  int num_threads_;
  std::int64_t& num_empty_;
  std::vector<std::string> documents_;
  std::vector<SplitWriter*> to_;  // of each document
  std::int64_t bytes_ = 0;
};

std::string_view without_separator(std::string_view document, const std::string& separator) {
  if (!separator.empty() && document.ends_with(separator)) document.remove_suffix(separator.size());
  return document;
}

// Sends each document, as tokens, to its side of the split.
class Packer {
 public:
  // `tokenizer` is null where bytes are the tokens.
  Packer(const TextBuildConfig& config, const WordPiece* tokenizer, const std::string& folder,
         TextBuildReport& report)
      : separator_(config.separator),
        report_(report),
        split_of_(config.split_seed, {.val = config.val_fraction}),
        train_(folder, "train", report.manifest.token_type, config.shard_bytes),
        val_(folder, "val", report.manifest.token_type, config.shard_bytes) {
    if (tokenizer)
      pieces_.emplace(*tokenizer, report.manifest.token_type, config.num_threads, report.num_empty);
  }

  void add(const std::string& file, const TextPart& part) {
    const std::string_view document = without_separator(part.text, separator_);
    if (document.empty()) {
      ++report_.num_empty;
      return;
    }
    // Of the bytes before the separator, so that equal documents fall on the same side.
    const std::string_view split = split_of_(checksum(document.data(), document.size()));
    SplitWriter& to = split == "val" ? val_ : train_;
    if (!pieces_) return to.add(std::as_bytes(std::span(part.text)));
    if (const std::string fault = utf8_fault(file, part); !fault.empty())
      return report_.bad.add(fault);
    pieces_->add(document, to);
  }

  // The splits come in the order train, val.
  void finish() {
    if (pieces_) pieces_->flush();
    for (SplitWriter* writer : {&train_, &val_})
      if (SplitInfo split = writer->finish(); !split.shards.empty())
        report_.manifest.splits.push_back(std::move(split));
  }

 private:
  std::string separator_;
  TextBuildReport& report_;
  SplitByHash split_of_;
  SplitWriter train_, val_;
  std::optional<PieceWriter> pieces_;
};

void check_splits(const TextBuildConfig& config, const Manifest& manifest) {
  require(!manifest.splits.empty(), "the input holds no text");
  for (const std::string split : {"train", "val"}) {
    if (split == "val" && config.val_fraction == 0) continue;
    require(manifest.find(split) != nullptr, "the split '", split,
            "' would be empty: the input has ", manifest.splits[0].num_documents(),
            " documents; choose a separator that makes more, another fraction or another seed");
  }
}

void set_tokenizer(const WordPiece& tokenizer, const std::string& folder, Manifest& manifest) {
  manifest.tokenizer = "wordpiece";
  manifest.vocab_size = tokenizer.size();
  manifest.token_type = token_type_of(tokenizer);
  manifest.vocab = store_vocab(folder, tokenizer);
}

}  // namespace

TextBuildReport build_text_dataset(const TextBuildConfig& config) {
  require(!config.inputs.empty(), "name at least one input file or folder");
  require(config.shard_bytes > 0, "a shard must hold 1 byte or more, not ", config.shard_bytes);
  check_shares({.val = config.val_fraction});
  TextBuildReport report{.bad = BadSamples(config.on_bad_sample)};
  report.manifest.separator = config.separator;
  to_text(report.manifest);  // a separator that the manifest cannot hold is refused before the work
  std::optional<WordPiece> tokenizer;
  if (!config.vocab.empty())
    tokenizer = WordPiece::read(config.vocab, {.lower_case = config.lower_case});
  DatasetFolder folder(config.output);
  if (tokenizer) set_tokenizer(*tokenizer, folder.path(), report.manifest);
  Packer packer(config, tokenizer ? &*tokenizer : nullptr, folder.path(), report);
  for (const std::string& file : list_files(config.inputs)) {
    ++report.num_files;
    for_each_part(file, config.separator, [&](const TextPart& part) { packer.add(file, part); });
  }
  packer.finish();
  check_splits(config, report.manifest);
  folder.finish(to_text(report.manifest));
  return report;
}

}  // namespace fusor
