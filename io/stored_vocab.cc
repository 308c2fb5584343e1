#include "io/stored_vocab.h"

#include <filesystem>

#include "io/checksum.h"
#include "io/output_file.h"
#include "runtime/error.h"

namespace fusor {
namespace {

std::string path_in(const std::string& folder) {
  return (std::filesystem::path(folder) / kVocabFile).string();
}

}  // namespace

ElementType token_type_of(const WordPiece& tokenizer) {
  return tokenizer.size() <= 1 << 16 ? ElementType::u16 : ElementType::i32;
}

StoredVocab store_vocab(const std::string& folder, const WordPiece& tokenizer) {
  std::string text;
  for (std::int32_t id = 0; id < tokenizer.size(); ++id) text += tokenizer.piece(id) + '\n';
  write_text_file(path_in(folder), text);
  return {checksum_text(checksum(text.data(), text.size())), tokenizer.options().lower_case};
}

WordPiece read_vocab(const std::string& folder, const StoredVocab& vocab) {
  const std::string path = path_in(folder), found = checksum_text(checksum_file(path));
  require(found == vocab.checksum, path, " is damaged: its checksum is ", found,
          ", its manifest says ", vocab.checksum);
  return WordPiece::read(path, {.lower_case = vocab.lower_case});
}

std::map<std::string, std::string> vocab_attributes(const StoredVocab& vocab) {
  return {{"tokenizer", "wordpiece"},
          {"vocab_xxh3", vocab.checksum},
          {"letter_case", vocab.lower_case ? "lower" : "kept"}};
}

StoredVocab vocab_of_attributes(const std::map<std::string, std::string>& attributes,
                                const std::string& what) {
  const auto at = [&](const char* key) {
    const auto found = attributes.find(key);
    require(found != attributes.end(), what, " has no attribute '", key, "'");
    return found->second;
  };
  const std::string tokenizer = at("tokenizer"), letter_case = at("letter_case");
  require(tokenizer == "wordpiece", what, " is of the tokenizer '", tokenizer,
          "', not 'wordpiece'");
  require(letter_case == "lower" || letter_case == "kept", what, ": letter_case is '", letter_case,
          "', not lower or kept");
  return {at("vocab_xxh3"), letter_case == "lower"};
}

}  // namespace fusor
