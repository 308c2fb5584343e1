#pragma once
#include <map>
#include <string>
#include <string_view>

#include "io/element_type.h"
#include "io/wordpiece.h"

// The WordPiece vocabulary that the token ids of a dataset are of: a vocab.txt in its folder.
namespace fusor {

inline constexpr std::string_view kVocabFile = "vocab.txt";

// What a dataset's manifest says of it.
struct StoredVocab {
  std::string checksum;  // XXH3-64 of the file, as checksum_text writes it
  bool lower_case = true;
};

// How its ids are stored: u16, or i32 where they are more than 65536.
ElementType token_type_of(const WordPiece& tokenizer);

// Copies a vocabulary into a dataset's folder, a piece a line.
StoredVocab store_vocab(const std::string& folder, const WordPiece& tokenizer);
// Throws Error when the file is missing or has another checksum.
WordPiece read_vocab(const std::string& folder, const StoredVocab& vocab);

// The same as attributes of a field of token ids in a dataset of records, and back: throws Error
// that begins with `what` when they are missing or tell of something else.
std::map<std::string, std::string> vocab_attributes(const StoredVocab& vocab);
StoredVocab vocab_of_attributes(const std::map<std::string, std::string>& attributes,
                                const std::string& what);

}  // namespace fusor
