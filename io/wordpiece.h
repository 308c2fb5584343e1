#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "io/piece_trie.h"

namespace fusor {

struct WordPieceOptions {
  bool lower_case = true;             // and strip accents, as "uncased" models want it
  std::int64_t max_word_chars = 200;  // longer words become [UNK]; Hugging Face's tokenizers: 100
};

// Texts as token ids, one after the other: text i is ids[offsets[i] : offsets[i + 1]].
struct TokenRows {
  std::vector<std::int32_t> ids;
  std::vector<std::int64_t> offsets{0};
};

// BERT's tokenizer (google-research/bert, tokenization.py, FullTokenizer): the words of io/words.h,
// each as the longest piece of the vocabulary that it begins with, then the longest that goes on,
// which the vocabulary writes with ## in front, and so on; a word with no such pieces is [UNK]. An
// immutable value: any number of threads may use one.
//
// A text cannot spell special tokens: "[MASK]" is the words "[", "mask" and "]".
class WordPiece {
 public:
  // `pieces`: one per id. `file` is their name in errors. Throws Error where a piece is empty, not
  // UTF-8 or there twice, and where [PAD], [UNK], [CLS], [SEP] or [MASK] is missing.
  WordPiece(std::vector<std::string> pieces, const std::string& file,
            const WordPieceOptions& options = {});
  // A vocab.txt: a piece a line, the first has id 0.
  static WordPiece read(const std::string& file, const WordPieceOptions& options = {});

  std::int64_t size() const { return static_cast<std::int64_t>(pieces_.size()); }
  const std::string& piece(std::int32_t id) const {
    return pieces_.at(static_cast<std::size_t>(id));
  }
  // Whether a piece goes on with the word of the one before it.
  bool continues(std::int32_t id) const { return piece(id).starts_with("##"); }
  const WordPieceOptions& options() const { return options_; }
  std::int32_t pad() const { return pad_; }
  std::int32_t unk() const { return unk_; }
  std::int32_t cls() const { return cls_; }
  std::int32_t sep() const { return sep_; }
  std::int32_t mask() const { return mask_; }

  // Appends the ids of a text, without [CLS] and [SEP]. Throws Error with the byte where it is not
  // UTF-8.
  void encode(std::string_view text, std::vector<std::int32_t>& ids) const;
  // The same of many texts, shared out to threads.
  TokenRows encode(std::span<const std::string_view> texts, int num_threads = 1) const;

 private:
  void encode_word(std::string_view word, std::vector<std::int32_t>& ids) const;
  std::int32_t special(std::string_view piece, const std::string& file) const;

  std::vector<std::string> pieces_;
  WordPieceOptions options_;
  PieceTrie trie_;
  PieceTrie::Node continuation_;  // of "##"
  std::int32_t pad_, unk_, cls_, sep_, mask_;
};

}  // namespace fusor
