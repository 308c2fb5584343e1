#include "io/text_builder.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <string_view>

#include "io/checksum.h"
#include "io/output_file.h"
#include "io/shard.h"
#include "io/text_files.h"
#include "runtime/error.h"
#include "runtime/random.h"

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
    std::array<char, 16> number{};
    std::snprintf(number.data(), number.size(), "-%05zu.h5", split_.shards.size());
    split_.shards.push_back(write_text_shard(folder_, split_.name + number.data(), TokenType::u8,
                                             std::as_bytes(std::span(tokens_)), offsets_));
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
bool is_val(std::string_view document, const std::string& separator, RandomKey key,
            double val_fraction) {
  if (!separator.empty() && document.ends_with(separator)) document.remove_suffix(separator.size());
  const auto words = philox(key, checksum(document.data(), document.size()));
  return words[0] * 0x1p-32 < val_fraction;
}

// A folder that goes away with everything in it unless it was renamed to its final name.
class UnfinishedFolder {
 public:
  explicit UnfinishedFolder(std::string path) : path_(std::move(path)) {
    std::error_code status;
    fs::create_directories(path_, status);
    require(!status, "cannot create the folder ", path_, ": ", status.message());
  }
  ~UnfinishedFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  UnfinishedFolder(const UnfinishedFolder&) = delete;
  UnfinishedFolder& operator=(const UnfinishedFolder&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

void check(const TextBuildConfig& config, const std::string& output) {
  require(!config.inputs.empty(), "name at least one input file or folder");
  require(!output.empty(), "name an output folder");
  require(config.val_fraction >= 0 && config.val_fraction < 1,
          "the val fraction must be in [0, 1), not ", config.val_fraction);
  require(config.shard_bytes > 0, "a shard must hold 1 byte or more, not ", config.shard_bytes);
  require(!fs::exists(output), output, " exists already: choose another folder or remove it");
}

// Reads every input once; the splits come back in the order train, val.
void write_splits(const TextBuildConfig& config, const std::string& folder,
                  TextBuildReport& report) {
  SplitWriter train(folder, "train", config.shard_bytes), val(folder, "val", config.shard_bytes);
  const RandomKey key = random_key(config.split_seed, "data/split");
  for (const std::string& file : list_files(config.inputs)) {
    ++report.num_files;
    for_each_part(file, config.separator, [&](const TextPart& part) {
      const std::string_view document = part.text;
      if (document == config.separator) {
        ++report.num_empty;
        return;
      }
      (is_val(document, config.separator, key, config.val_fraction) ? val : train).add(document);
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
  std::string output = fs::path(config.output).lexically_normal().string();
  while (output.size() > 1 && output.back() == '/') output.pop_back();
  check(config, output);
  TextBuildReport report;
  report.manifest.separator = config.separator;
  to_text(report.manifest);  // a separator that the manifest cannot hold is refused before the work
  const UnfinishedFolder folder(output + ".tmp-" + std::to_string(::getpid()));
  write_splits(config, folder.path(), report);
  check_splits(config, report.manifest);
  write_text_file((fs::path(folder.path()) / kManifestFile).string(), to_text(report.manifest));
  sync_to_disk(folder.path());
  rename_durably(folder.path(), output);
  return report;
}

}  // namespace fusor
