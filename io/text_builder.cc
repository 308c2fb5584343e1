#include "io/text_builder.h"

#include <algorithm>
#include <filesystem>
#include <string_view>

#include "io/checksum.h"
#include "io/dataset_folder.h"
#include "io/shard.h"
#include "io/shard_file.h"
#include "io/text_files.h"
#include "runtime/error.h"

namespace fusor {
namespace {

namespace fs = std::filesystem;

// Gathers the documents of one split and writes a shard whenever one is full.
class SplitWriter {
 public:
  SplitWriter(std::string folder, std::string name, std::int64_t shard_bytes)
      : folder_(std::move(folder)), shard_bytes_(shard_bytes), split_{std::move(name), {}} {}

  void add(std::string_view document) {
    if (!tokens_.empty() && std::ssize(tokens_) + std::ssize(document) > shard_bytes_) flush();
    tokens_.append(document);
    offsets_.push_back(std::ssize(tokens_));
  }

  SplitInfo finish() {
    if (!tokens_.empty()) flush();
    return std::move(split_);
  }

 private:
  void flush() {
    split_.shards.push_back(write_text_shard(folder_, shard_name(split_.name, split_.shards.size()),
                                             TokenType::u8, std::as_bytes(std::span(tokens_)),
                                             offsets_));
    tokens_.clear();
    offsets_.assign(1, 0);
  }

  std::string folder_;
  std::int64_t shard_bytes_;
  SplitInfo split_;
  std::string tokens_;
  std::vector<std::int64_t> offsets_{0};
};

// Of the bytes before the separator, so that equal documents fall on the same side wherever they
// stand.
std::uint64_t hash_of(std::string_view document, const std::string& separator) {
  if (!separator.empty() && document.ends_with(separator)) document.remove_suffix(separator.size());
  return checksum(document.data(), document.size());
}

// Reads every input once; the splits come back in the order train, val.
void write_splits(const TextBuildConfig& config, const std::string& folder,
                  TextBuildReport& report) {
  SplitWriter train(folder, "train", config.shard_bytes), val(folder, "val", config.shard_bytes);
  const SplitByHash split_of(config.split_seed, {.val = config.val_fraction});
  for (const std::string& file : list_files(config.inputs)) {
    ++report.num_files;
    for_each_part(file, config.separator, [&](const TextPart& part) {
      const std::string_view document = part.text;
      if (document == config.separator) {
        ++report.num_empty;
        return;
      }
      const std::string_view split = split_of(hash_of(document, config.separator));
      (split == "val" ? val : train).add(document);
    });
  }
  for (SplitWriter* writer : {&train, &val})
    if (SplitInfo split = writer->finish(); !split.shards.empty())
      report.manifest.splits.push_back(std::move(split));
}

void check_splits(const TextBuildConfig& config, const Manifest& manifest) {
  require(!manifest.splits.empty(), "the input holds no text");
  for (const std::string split : {"train", "val"}) {
    if (split == "val" && config.val_fraction == 0) continue;
    require(manifest.find(split) != nullptr, "the split '", split,
            "' would be empty: the input has ", manifest.splits[0].num_documents(),
            " documents; choose a separator that makes more, another fraction or another seed");
  }
}

}  // namespace

TextBuildReport build_text_dataset(const TextBuildConfig& config) {
  require(!config.inputs.empty(), "name at least one input file or folder");
  require(config.shard_bytes > 0, "a shard must hold 1 byte or more, not ", config.shard_bytes);
  check_shares({.val = config.val_fraction});
  TextBuildReport report;
  report.manifest.separator = config.separator;
  to_text(report.manifest);  // a separator that the manifest cannot hold is refused before the work
  DatasetFolder folder(config.output);
  write_splits(config, folder.path(), report);
  check_splits(config, report.manifest);
  folder.finish(to_text(report.manifest));
  return report;
}

}  // namespace fusor
