#include "io/vocab_builder.h"

#include <sentencepiece_processor.h>
#include <sentencepiece_trainer.h>

#include <algorithm>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "io/text_files.h"
#include "io/utf8.h"
#include "io/words.h"
#include "runtime/error.h"

namespace fusor {
namespace {

constexpr std::string_view kSpecial[] = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};
constexpr std::string_view kWordBegin = "\u2581";  // SentencePiece's mark, U+2581

using WordCounts = std::vector<std::pair<std::string, std::int64_t>>;

// In an order that the input alone determines.
WordCounts count_words(const VocabConfig& config, VocabReport& report) {
  std::unordered_map<std::string, std::int64_t> counts;
  for (const std::string& file : list_files(config.inputs))
    for_each_part(file, "\n", [&](const TextPart& line) {
      if (const std::string fault = utf8_fault(file, line); !fault.empty())
        return report.bad_lines.add(fault);
      for_each_word(line.text, config.lower_case,
                    [&](std::string_view word) { ++counts[std::string(word)]; });
    });
  report.num_words = std::ssize(counts);
  WordCounts sorted(counts.begin(), counts.end());
  std::ranges::sort(sorted, [](const auto& a, const auto& b) {
    return a.second != b.second ? a.second > b.second : a.first < b.first;
  });
  return sorted;
}

// Words and their counts as the trainer reads them: "word<tab>count".
class CountedWords final : public sentencepiece::SentenceIterator {
 public:
  explicit CountedWords(const WordCounts& words) : words_(words) { write(); }
  bool done() const override { return at_ == words_.size(); }
  void Next() override { ++at_, write(); }
  const std::string& value() const override { return line_; }
  sentencepiece::util::Status status() const override { return {}; }

 private:
  void write() {
    if (!done()) line_ = words_[at_].first + '\t' + std::to_string(words_[at_].second);
  }
  const WordCounts& words_;
  std::size_t at_ = 0;
  std::string line_;
};

void check(const sentencepiece::util::Status& status) {
  require(status.ok(), "SentencePiece cannot make a vocabulary: ", status.ToString());
}

// What it joins, in that order, then its characters.
std::vector<std::string> train(const WordCounts& words, std::int64_t size) {
  CountedWords sentences(words);
  std::string model;
  check(sentencepiece::SentencePieceTrainer::Train({{"model_type", "bpe"},
                                                    {"input_format", "tsv"},
                                                    {"vocab_size", std::to_string(size)},
                                                    {"hard_vocab_limit", "false"},
                                                    {"normalization_rule_name", "identity"},
                                                    {"split_by_unicode_script", "false"},
                                                    {"split_by_number", "false"},
                                                    {"bos_id", "-1"},
                                                    {"eos_id", "-1"},
                                                    {"num_threads", "1"},
                                                    {"minloglevel", "2"}},
                                                   &sentences, &model));
  sentencepiece::SentencePieceProcessor processor;
  check(processor.LoadFromSerializedProto(model));
  std::vector<std::string> pieces;
  for (int id = 0; id < processor.GetPieceSize(); ++id)
    if (!processor.IsUnknown(id)) pieces.push_back(processor.IdToPiece(id));
  return pieces;
}

std::string first_character(std::string_view piece) {
  std::size_t end = 0;
  next_utf8(piece, end);
  return std::string(piece.substr(0, end));
}

// The characters of all words, and whether one is in a word with others: punctuation marks and
// ideographs are words themselves.
std::unordered_map<std::string, bool> find_characters(const WordCounts& words) {
  std::unordered_map<std::string, bool> joins;
  for (const auto& [word, count] : words)
    for (std::string_view rest = word; !rest.empty();) {
      const std::string character = first_character(rest);
      joins[character] |= character.size() < word.size();
      rest.remove_prefix(character.size());
    }
  return joins;
}

// Gathers the pieces of a vocabulary, each once.
class Vocab {
 public:
  void add(std::string piece) {
    if (known_.insert(piece).second) pieces_.push_back(std::move(piece));
  }
  std::int64_t size() const { return std::ssize(pieces_); }
  std::vector<std::string> take() { return std::move(pieces_); }

 private:
  std::vector<std::string> pieces_;
  std::unordered_set<std::string> known_;
};

// What was learned, as a vocab.txt writes it.
std::vector<std::string> word_pieces(const WordCounts& words, std::int64_t size) {
  Vocab vocab;
  for (const std::string_view piece : kSpecial) vocab.add(std::string(piece));
  const auto joins = find_characters(words);
  const auto learned = train(words, size + std::ssize(joins));  // the trainer refuses less
  const auto is_character = [](const std::string& piece) {
    return first_character(piece) == piece;
  };
  for (const std::string& piece : learned) {
    if (piece == kWordBegin || !is_character(piece)) continue;
    vocab.add(piece);
    if (joins.at(piece)) vocab.add("##" + piece);
  }
  require(vocab.size() <= size, "a vocabulary of ", size,
          " pieces has no room for the characters of the input, the nearest that works: ",
          vocab.size());
  for (const std::string& piece : learned)
    if (vocab.size() < size && !is_character(piece))
      vocab.add(piece.starts_with(kWordBegin) ? piece.substr(kWordBegin.size()) : "##" + piece);
  return vocab.take();
}

}  // namespace

VocabReport build_vocab(const VocabConfig& config) {
  require(config.size > 0 && config.size <= 1 << 24,
          "a vocabulary can have 1 to 16777216 pieces, not ", config.size);
  VocabReport report{.bad_lines = BadSamples(config.on_bad_sample)};
  const WordCounts words = count_words(config, report);
  require(!words.empty(), "the input holds no word");
  report.pieces = word_pieces(words, config.size);
  return report;
}

}  // namespace fusor
