#include "io/wordpiece.h"

#include <algorithm>
#include <exception>
#include <limits>
#include <thread>

#include "io/file.h"
#include "io/utf8.h"
#include "io/words.h"
#include "runtime/error.h"

namespace fusor {
namespace {

constexpr std::uint64_t kMaxVocabFile = std::uint64_t{1} << 28;

std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    std::string_view line = text.substr(at, end - at);
    if (line.ends_with('\r')) line.remove_suffix(1);
    lines.emplace_back(line);
    at = end + 1;
  }
  return lines;
}

void append(TokenRows& to, const TokenRows& rows) {
  const auto before = std::ssize(to.ids);
  to.ids.insert(to.ids.end(), rows.ids.begin(), rows.ids.end());
  for (std::size_t i = 1; i < rows.offsets.size(); ++i)
    to.offsets.push_back(before + rows.offsets[i]);
}

}  // namespace

WordPiece::WordPiece(std::vector<std::string> pieces, const std::string& file,
                     const WordPieceOptions& options)
    : pieces_(std::move(pieces)), options_(options) {
  require(options.max_word_chars > 0, "a word must be allowed 1 character or more, not ",
          options.max_word_chars);
  require(size() < std::numeric_limits<std::int32_t>::max(), file, " holds too many lines");
  for (std::int32_t id = 0; id < size(); ++id) {
    const std::string& text = piece(id);
    require(!text.empty(), file, ": line ", id + 1, " is empty, but each line is a piece");
    require(valid_utf8_bytes(text) == text.size(), file, ": line ", id + 1, " is not UTF-8");
    const std::int32_t first = trie_.add(text, id);
    require(first == id, file, ": line ", id + 1, " holds '", text, "' again, as line ", first + 1);
  }
  continuation_ = trie_.find("##");
  pad_ = special("[PAD]", file);
  unk_ = special("[UNK]", file);
  cls_ = special("[CLS]", file);
  sep_ = special("[SEP]", file);
  mask_ = special("[MASK]", file);
}

WordPiece WordPiece::read(const std::string& file, const WordPieceOptions& options) {
  return {lines_of(read_text_file(file, kMaxVocabFile)), file, options};
}

std::int32_t WordPiece::special(std::string_view piece, const std::string& file) const {
  const PieceTrie::Match match = trie_.longest(PieceTrie::kRoot, piece);
  require(match.length == piece.size(), file, " holds no line ", piece,
          ", which a WordPiece vocabulary needs");
  return match.id;
}

void WordPiece::encode_word(std::string_view word, std::vector<std::int32_t>& ids) const {
  const auto is_first_byte = [](char c) { return (c & 0xC0) != 0x80; };
  const bool too_long = std::ssize(word) > options_.max_word_chars &&
                        std::ranges::count_if(word, is_first_byte) > options_.max_word_chars;
  const std::size_t before = ids.size();
  PieceTrie::Node from = PieceTrie::kRoot;
  while (!too_long && !word.empty()) {
    const PieceTrie::Match match = trie_.longest(from, word);
    if (match.length == 0) break;
    ids.push_back(match.id);
    word.remove_prefix(match.length);
    from = continuation_;
  }
  if (word.empty()) return;
  ids.resize(before);
  ids.push_back(unk_);
}

void WordPiece::encode(std::string_view text, std::vector<std::int32_t>& ids) const {
  for_each_word(text, options_.lower_case, [&](std::string_view word) { encode_word(word, ids); });
}

TokenRows WordPiece::encode(std::span<const std::string_view> texts, int num_threads) const {
  const auto parts = static_cast<std::size_t>(std::max(num_threads, 1));
  std::vector<TokenRows> rows(parts);
  std::vector<std::exception_ptr> errors(parts);
  const auto work = [&](std::size_t part) {
    try {
      for (std::size_t i = texts.size() * part / parts; i < texts.size() * (part + 1) / parts;
           ++i) {
        encode(texts[i], rows[part].ids);
        rows[part].offsets.push_back(std::ssize(rows[part].ids));
      }
    } catch (...) {
      errors[part] = std::current_exception();
    }
  };
  {
    std::vector<std::jthread> threads;
    for (std::size_t part = 1; part < parts; ++part) threads.emplace_back(work, part);
    work(0);
  }
  for (const std::exception_ptr& error : errors)
    if (error) std::rethrow_exception(error);
  for (std::size_t part = 1; part < parts; ++part) append(rows[0], rows[part]);
  return std::move(rows[0]);
}

}  // namespace fusor
