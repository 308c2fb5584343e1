#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "io/element_type.h"
#include "io/stored_vocab.h"

// manifest.json: what a dataset folder holds. It is written last, so a folder with a manifest is
// whole. This is the manifest of a stream of tokens; io/record_manifest.h has that of rows of
// fields.
namespace fusor {

// How a token id is stored. Byte tokens fit u8; larger vocabularies take u16 or i32.
using TokenType = ElementType;

struct ShardInfo {
  std::string file;  // inside the dataset's folder
  std::int64_t tokens = 0;
  std::int64_t documents = 0;
  std::int64_t bytes = 0;      // size of the file
  std::uint64_t checksum = 0;  // XXH3-64 of the whole file
};

struct SplitInfo {
  std::string name;  // "train", "val"
  std::vector<ShardInfo> shards;
  std::int64_t num_tokens() const;
  std::int64_t num_documents() const;
};

struct Manifest {
  // "bytes", each of them a token; or "wordpiece": see io/wordpiece.h.
  std::string tokenizer = "bytes";
  std::int64_t vocab_size = 256;
  TokenType token_type = TokenType::u8;
  // What ends a document of the text. Of bytes it is kept in the stream; of word pieces [SEP]
  // stands there.
  std::string separator;
  std::optional<StoredVocab> vocab{};  // of word pieces
  std::vector<SplitInfo> splits;

  const SplitInfo* find(std::string_view split) const;  // null when there is none
};

inline constexpr std::string_view kManifestFile = "manifest.json";

// Which of the two kinds of manifest a dataset's folder holds: "text" or "records". Throws as
// read_manifest does.
std::string read_schema(const std::string& folder);

// Throws Error naming `file` and the key for anything but a manifest of a version this program
// reads whose counts can be true: no duplicates, no empty splits, no sums beyond 63 bits.
Manifest parse_manifest(std::string_view text, const std::string& file);
// Of a dataset's folder; throws Error when the folder or its manifest is missing.
Manifest read_manifest(const std::string& folder);
// Throws Error when the separator is not UTF-8, which JSON cannot hold.
std::string to_text(const Manifest&);

}  // namespace fusor
