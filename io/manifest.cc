#include "io/manifest.h"

#include <filesystem>
#include <set>

#include "io/checksum.h"
#include "io/file.h"
#include "io/json.h"
#include "runtime/error.h"

namespace fusor {
namespace {

constexpr std::string_view kFormat = "fusor-dataset";
constexpr std::int64_t kVersion = 1;
constexpr std::int64_t kMaxCount = std::int64_t{1} << 56;  // of a split's tokens: sums stay exact
constexpr TokenType kTokenTypes[] = {TokenType::u8, TokenType::u16, TokenType::i32};

std::int64_t max_vocab(TokenType type) {
  return type == TokenType::i32 ? std::int64_t{1} << 31 : std::int64_t{1} << (8 * size_of(type));
}

void check_format(const JsonObject& root) {
  const std::string format = root.text("format");
  require(format == kFormat, root.name_of("format"), " is '", format, "', not '", kFormat, "'");
  const std::int64_t version = root.count("version");
  require(version == kVersion, root.name_of("version"), " is ", version,
          ", but this program reads version ", kVersion);
  require(root.text("schema") == "text", root.name_of("schema"), " is '", root.text("schema"),
          "', but this program reads 'text'");
}

TokenType read_token_type(const JsonObject& root) {
  const std::string name = root.text("token_dtype");
  for (const TokenType type : kTokenTypes)
    if (name == name_of(type)) return type;
  raise(root.name_of("token_dtype") + " is '" + name + "', not u8, u16 or i32");
}

ShardInfo read_shard(const JsonObject& entry, TokenType type) {
  entry.allow_only({"file", "tokens", "documents", "bytes", "xxh3"});
  ShardInfo shard{entry.text("file"), entry.count("tokens"), entry.count("documents"),
                  entry.count("bytes"), entry.checksum("xxh3")};
  require(!shard.file.empty() &&
              shard.file.find_first_of(std::string_view("/\0", 2)) == std::string::npos &&
              shard.file != "." && shard.file != "..",
          entry.name_of("file"), " must name a file inside the dataset's folder");
  require(shard.documents > 0 && shard.documents <= shard.tokens, entry.name_of("documents"),
          " is ", shard.documents, ", which ", shard.tokens, " tokens cannot hold");
  require(shard.tokens <= shard.bytes / size_of(type), entry.name_of("tokens"), " is ",
          shard.tokens, ", more than a file of ", shard.bytes, " bytes can hold");
  return shard;
}

SplitInfo read_split(const JsonObject& splits, const std::string& name, TokenType type,
                     std::set<std::string>& files) {
  SplitInfo split{name, {}};
  std::int64_t tokens = 0;
  for (const JsonObject& entry : splits.objects(name)) {
    split.shards.push_back(read_shard(entry, type));
    const ShardInfo& shard = split.shards.back();
    require(files.insert(shard.file).second, entry.name_of("file"), " names ", shard.file,
            " a second time");
    require(shard.tokens <= kMaxCount - tokens, entry.name_of("tokens"),
            " takes the split beyond 2^56 tokens");
    tokens += shard.tokens;
  }
  require(tokens > 0, splits.name_of(name), " holds no shards");
  return split;
}

nlohmann::ordered_json to_json(const ShardInfo& shard) {
  return {{"file", shard.file},
          {"tokens", shard.tokens},
          {"documents", shard.documents},
          {"bytes", shard.bytes},
          {"xxh3", checksum_text(shard.checksum)}};
}

}  // namespace

std::int64_t size_of(TokenType type) {
  switch (type) {
    case TokenType::u8:
      return 1;
    case TokenType::u16:
      return 2;
    case TokenType::i32:
      return 4;
  }
  raise("no such token type");
}

std::string_view name_of(TokenType type) {
  switch (type) {
    case TokenType::u8:
      return "u8";
    case TokenType::u16:
      return "u16";
    case TokenType::i32:
      return "i32";
  }
  raise("no such token type");
}

std::int64_t SplitInfo::num_tokens() const {
  std::int64_t sum = 0;
  for (const ShardInfo& shard : shards) sum += shard.tokens;
  return sum;
}

std::int64_t SplitInfo::num_documents() const {
  std::int64_t sum = 0;
  for (const ShardInfo& shard : shards) sum += shard.documents;
  return sum;
}

const SplitInfo* Manifest::find(std::string_view split) const {
  for (const SplitInfo& candidate : splits)
    if (candidate.name == split) return &candidate;
  return nullptr;
}

Manifest parse_manifest(std::string_view text, const std::string& file) {
  const nlohmann::json json = parse_json(text, file);
  const JsonObject root(json, file);
  check_format(root);
  root.allow_only({"format", "version", "schema", "tokenizer", "vocab_size", "token_dtype",
                   "separator", "splits"});
  Manifest manifest;
  manifest.schema = root.text("schema");
  manifest.tokenizer = root.text("tokenizer");
  manifest.separator = root.text("separator");
  manifest.token_type = read_token_type(root);
  manifest.vocab_size = root.count("vocab_size");
  require(manifest.vocab_size > 0 && manifest.vocab_size <= max_vocab(manifest.token_type),
          root.name_of("vocab_size"), " is ", manifest.vocab_size, ", which ",
          name_of(manifest.token_type), " tokens cannot tell apart");
  const JsonObject splits = root.object("splits");
  std::set<std::string> files;
  for (const std::string& name : splits.keys())
    manifest.splits.push_back(read_split(splits, name, manifest.token_type, files));
  require(!manifest.splits.empty(), root.name_of("splits"), " holds no splits");
  return manifest;
}

Manifest read_manifest(const std::string& folder) {
  namespace fs = std::filesystem;
  const std::string file = (fs::path(folder) / kManifestFile).string();
  std::error_code ignored;
  require(fs::is_directory(folder, ignored), "there is no dataset folder ", folder);
  require(fs::exists(file, ignored), folder, " holds no ", kManifestFile,
          ": it is not a dataset, or its build was cut short");
  return parse_manifest(read_text_file(file, std::uint64_t{1} << 28), file);
}

std::string to_text(const Manifest& manifest) {
  nlohmann::ordered_json json = {{"format", kFormat},
                                 {"version", kVersion},
                                 {"schema", manifest.schema},
                                 {"tokenizer", manifest.tokenizer},
                                 {"vocab_size", manifest.vocab_size},
                                 {"token_dtype", name_of(manifest.token_type)},
                                 {"separator", manifest.separator},
                                 {"splits", nlohmann::ordered_json::object()}};
  for (const SplitInfo& split : manifest.splits) {
    auto& shards = json["splits"][split.name] = nlohmann::ordered_json::array();
    for (const ShardInfo& shard : split.shards) shards.push_back(to_json(shard));
  }
  try {
    return json.dump(2) + "\n";
  } catch (const nlohmann::json::type_error&) {
    raise("the separator must be UTF-8 text, which a manifest can hold");
  }
}

}  // namespace fusor
