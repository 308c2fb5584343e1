#include "io/manifest.h"

#include <set>

#include "io/checksum.h"
#include "io/file.h"
#include "io/json.h"
#include "io/manifest_parts.h"
#include "runtime/error.h"

namespace fusor {
namespace {

constexpr std::int64_t kMaxCount = std::int64_t{1} << 56;  // of a split's tokens: sums stay exact
constexpr TokenType kTokenTypes[] = {TokenType::u8, TokenType::u16, TokenType::i32};

std::int64_t max_vocab(TokenType type) {
  return type == TokenType::i32 ? std::int64_t{1} << 31 : std::int64_t{1} << (8 * size_of(type));
}

TokenType read_token_type(const JsonObject& root) {
  const std::string name = root.text("token_dtype");
  for (const TokenType type : kTokenTypes)
    if (name == name_of(type)) return type;
  raise(root.name_of("token_dtype") + " is '" + name + "', not u8, u16 or i32");
}

ShardInfo read_shard(const JsonObject& entry, TokenType type, std::set<std::string>& files) {
  entry.allow_only({"file", "tokens", "documents", "bytes", "xxh3"});
  ShardInfo shard{shard_file_of(entry, files), entry.count("tokens"), entry.count("documents"),
                  entry.count("bytes"), entry.checksum("xxh3")};
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
    split.shards.push_back(read_shard(entry, type, files));
    const ShardInfo& shard = split.shards.back();
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

std::optional<StoredVocab> read_vocab(const JsonObject& root, const std::string& tokenizer) {
  if (!root.has("vocab") && tokenizer != "wordpiece") return {};
  const JsonObject vocab = root.object("vocab");
  vocab.allow_only({"xxh3", "lower_case"});
  return StoredVocab{checksum_text(vocab.checksum("xxh3")), vocab.flag("lower_case")};
}

}  // namespace

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
  check_schema(root, "text");
  root.allow_only({"format", "version", "schema", "tokenizer", "vocab_size", "token_dtype",
                   "separator", "vocab", "splits"});
  Manifest manifest;
  manifest.tokenizer = root.text("tokenizer");
  manifest.separator = root.text("separator");
  manifest.token_type = read_token_type(root);
  manifest.vocab_size = root.count("vocab_size");
  require(manifest.vocab_size > 0 && manifest.vocab_size <= max_vocab(manifest.token_type),
          root.name_of("vocab_size"), " is ", manifest.vocab_size, ", which ",
          name_of(manifest.token_type), " tokens cannot tell apart");
  manifest.vocab = read_vocab(root, manifest.tokenizer);
  const JsonObject splits = root.object("splits");
  std::set<std::string> files;
  for (const std::string& name : splits.keys())
    manifest.splits.push_back(read_split(splits, name, manifest.token_type, files));
  require(!manifest.splits.empty(), root.name_of("splits"), " holds no splits");
  return manifest;
}

Manifest read_manifest(const std::string& folder) {
  const std::string file = manifest_path(folder);
  return parse_manifest(read_text_file(file, kMaxManifestBytes), file);
}

std::string to_text(const Manifest& manifest) {
  nlohmann::ordered_json json = manifest_head("text");
  json["tokenizer"] = manifest.tokenizer;
  json["vocab_size"] = manifest.vocab_size;
  json["token_dtype"] = name_of(manifest.token_type);
  json["separator"] = manifest.separator;
  if (manifest.vocab)
    json["vocab"] = {{"xxh3", manifest.vocab->checksum},
                     {"lower_case", manifest.vocab->lower_case}};
  json["splits"] = nlohmann::ordered_json::object();
  for (const SplitInfo& split : manifest.splits) {
    auto& shards = json["splits"][split.name] = nlohmann::ordered_json::array();
    for (const ShardInfo& shard : split.shards) shards.push_back(to_json(shard));
  }
  return json_text(json, "the separator");
}

}  // namespace fusor
