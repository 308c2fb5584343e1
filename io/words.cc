#include "io/words.h"

#include <utf8proc.h>

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "io/utf8.h"
#include "runtime/error.h"

namespace fusor {
namespace {

enum class Kind : std::uint8_t { letter, space, punctuation, ideograph, left_out };

constexpr Kind ascii_kind(int c) {
  if (c == ' ' || c == '\t' || c == '\n' || c == '\r') return Kind::space;
  if (c < ' ' || c == 0x7f) return Kind::left_out;
  const bool is_letter = ('0' <= c && c <= '9') || ('A' <= c && c <= 'Z') || ('a' <= c && c <= 'z');
  return is_letter ? Kind::letter : Kind::punctuation;
}

constexpr auto kAscii = [] {
  std::array<Kind, 128> kinds{};
  for (int c = 0; c < 128; ++c) kinds[static_cast<std::size_t>(c)] = ascii_kind(c);
  return kinds;
}();

constexpr bool is_ascii(char c) { return static_cast<unsigned char>(c) < 128; }
constexpr Kind ascii_kind(char c) { return kAscii[static_cast<unsigned char>(c)]; }
constexpr char lower_ascii(char c) {
  return 'A' <= c && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

utf8proc_category_t category_of(char32_t c) {
  return utf8proc_category(static_cast<utf8proc_int32_t>(c));
}

constexpr bool is_ideograph(char32_t c) {
  constexpr char32_t kBlocks[][2] = {{0x4E00, 0x9FFF},   {0x3400, 0x4DBF},   {0x20000, 0x2A6DF},
                                     {0x2A700, 0x2B73F}, {0x2B740, 0x2B81F}, {0x2B820, 0x2CEAF},
                                     {0xF900, 0xFAFF},   {0x2F800, 0x2FA1F}};
  for (const auto& [first, last] : kBlocks)
    if (first <= c && c <= last) return true;
  return false;
}

Kind kind_of(char32_t c) {
  if (c < 128) return kAscii[c];
  if (is_ideograph(c)) return Kind::ideograph;
  switch (category_of(c)) {
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
      return Kind::left_out;
    case UTF8PROC_CATEGORY_ZS:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
      return Kind::space;
    case UTF8PROC_CATEGORY_PC:
    case UTF8PROC_CATEGORY_PD:
    case UTF8PROC_CATEGORY_PS:
    case UTF8PROC_CATEGORY_PE:
    case UTF8PROC_CATEGORY_PI:
    case UTF8PROC_CATEGORY_PF:
    case UTF8PROC_CATEGORY_PO:
      return Kind::punctuation;
    default:
      return c == 0xFFFD ? Kind::left_out : Kind::letter;
  }
}

bool is_cased(char32_t c) {
  const auto category = category_of(c);
  const auto code = static_cast<utf8proc_int32_t>(c);
  return category == UTF8PROC_CATEGORY_LU || category == UTF8PROC_CATEGORY_LL ||
         category == UTF8PROC_CATEGORY_LT || utf8proc_tolower(code) != code ||
         utf8proc_toupper(code) != code;
}

// Unicode's Case_Ignorable: marks, modifiers, format, and what stands inside a word.
bool is_case_ignorable(char32_t c) {
  switch (category_of(c)) {
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_SK:
      return true;
    default:
      return std::u32string_view(
                 U"'.:\u00B7\u0387\u055F\u05F4\u2018\u2019\u2024\u2027\uFE13\uFE52"
                 U"\uFE55\uFF07\uFF0E\uFF1A")
                 .find(c) != std::u32string_view::npos;
  }
}

std::u32string decode(std::string_view text) {
  std::u32string characters;
  for (std::size_t at = 0; at < text.size();) characters += next_utf8(text, at);
  return characters;
}

void append(std::string& text, std::int32_t c) {
  std::array<utf8proc_uint8_t, 4> bytes{};
  const auto length = utf8proc_encode_char(c, bytes.data());
  text.append(reinterpret_cast<const char*>(bytes.data()), static_cast<std::size_t>(length));
}

constexpr char32_t kSigma = 0x3A3, kFinalSigma = 0x3C2;

// Unicode's Final_Sigma: a cased letter stands before it and none after, whatever is ignorable in
// between.
bool is_final(const std::u32string& word, std::size_t sigma) {
  std::size_t before = sigma, after = sigma + 1;
  while (before > 0 && is_case_ignorable(word[before - 1])) --before;
  while (after < word.size() && is_case_ignorable(word[after])) ++after;
  return before > 0 && is_cased(word[before - 1]) &&
         !(after < word.size() && is_cased(word[after]));
}

void lower_final_sigmas(std::string& text) {
  if (text.find("\u03A3") == std::string::npos) return;
  const std::u32string word = decode(text);
  text.clear();
  for (std::size_t i = 0; i < word.size(); ++i)
    append(text, static_cast<std::int32_t>(word[i] == kSigma && is_final(word, i) ? kFinalSigma
                                                                                  : word[i]));
}

class Cutter {
 public:
  Cutter(bool lower_case, const std::function<void(std::string_view)>& take)
      : lower_case_(lower_case), take_(take) {}

  void cut(std::string_view text) {
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t begin = at;
      while (at < text.size() && is_ascii(text[at]) && ascii_kind(text[at]) != Kind::space) ++at;
      if (at < text.size() && !is_ascii(text[at])) {
        at = cut_unicode(text, begin);
      } else {
        cut_ascii(text.substr(begin, at - begin));
        ++at;  // the space
      }
    }
  }

 private:
  void cut_ascii(std::string_view run) {
    for (const char c : run) {
      const Kind kind = ascii_kind(c);
      if (kind == Kind::letter) {
        word_ += lower_case_ ? lower_ascii(c) : c;
      } else if (kind == Kind::punctuation) {
        end_word();
        take_({&c, 1});
      }
    }
    end_word();
  }

  // From `at` to the next space; returns what is after it.
  std::size_t cut_unicode(std::string_view text, std::size_t at) {
    while (at < text.size()) {
      const std::size_t begin = at;
      const char32_t c = next_utf8(text, at);
      const Kind kind = kind_of(c);
      if (kind == Kind::space) break;
      if (kind == Kind::left_out) continue;
      if (kind == Kind::ideograph) end_run();
      run_.append(text.substr(begin, at - begin));
      if (kind == Kind::ideograph) end_run();
    }
    end_run();
    return at;
  }

  void end_run() {
    if (run_.empty()) return;
    if (lower_case_) lower_final_sigmas(run_);
    for (const std::int32_t c : lower_case_ ? lowered() : plain()) {
      if (lower_case_ && category_of(static_cast<char32_t>(c)) == UTF8PROC_CATEGORY_MN) continue;
      const bool is_punctuation = kind_of(static_cast<char32_t>(c)) == Kind::punctuation;
      if (is_punctuation) end_word();
      append(word_, c);
      if (is_punctuation) end_word();
    }
    end_word();
    run_.clear();
  }

  const std::vector<std::int32_t>& plain() {
    characters_.clear();
    for (std::size_t at = 0; at < run_.size();)
      characters_.push_back(static_cast<std::int32_t>(next_utf8(run_, at)));
    return characters_;
  }

  // The run lower-cased and decomposed.
  const std::vector<std::int32_t>& lowered() {
    constexpr std::size_t kLongest = 4;  // what a character of two bytes or more decomposes to
    characters_.resize(kLongest * run_.size());
    const auto count = utf8proc_decompose_custom(
        reinterpret_cast<const utf8proc_uint8_t*>(run_.data()),
        static_cast<utf8proc_ssize_t>(run_.size()), characters_.data(),
        static_cast<utf8proc_ssize_t>(characters_.size()), UTF8PROC_DECOMPOSE,
        [](utf8proc_int32_t c, void*) { return utf8proc_tolower(c); }, nullptr);
    require(count >= 0, "a word does not decompose: ", utf8proc_errmsg(count));
    characters_.resize(static_cast<std::size_t>(count));
    return characters_;
  }

  void end_word() {
    if (word_.empty()) return;
    take_(word_);
    word_.clear();
  }

  bool lower_case_;
  const std::function<void(std::string_view)>& take_;
  std::string run_, word_;  // up to a space or ideograph, and of that up to a punctuation mark
  std::vector<std::int32_t> characters_;
};

}  // namespace

void for_each_word(std::string_view text, bool lower_case,
                   const std::function<void(std::string_view)>& take) {
  Cutter(lower_case, take).cut(text);
}

}  // namespace fusor
