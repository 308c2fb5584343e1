#include "io/transcript.h"

#include <utf8proc.h>

#include <cstdlib>
#include <set>

#include "io/utf8.h"
#include "runtime/error.h"
#include "runtime/handle.h"

namespace fusor {
namespace {

constexpr std::string_view kBlankName = "<blank>", kUnknownName = "<unk>", kEdgeName = "<edge>";

void release(utf8proc_uint8_t* text) { std::free(text); }

std::string composed(const std::string& text) {
  utf8proc_uint8_t* to = nullptr;
  const utf8proc_ssize_t size =
      utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()), std::ssize(text), &to,
                   static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
  require(size >= 0, "Unicode: ", utf8proc_errmsg(size));
  const Handle<utf8proc_uint8_t*, release> owner(to);
  return {reinterpret_cast<const char*>(to), static_cast<std::size_t>(size)};
}

void append(std::string& to, utf8proc_int32_t c) {
  utf8proc_uint8_t bytes[4];
  to.append(reinterpret_cast<const char*>(bytes),
            static_cast<std::size_t>(utf8proc_encode_char(c, bytes)));
}

bool is_space(utf8proc_int32_t c) {
  const utf8proc_category_t of = utf8proc_category(c);
  return of == UTF8PROC_CATEGORY_CC || (UTF8PROC_CATEGORY_ZS <= of && of <= UTF8PROC_CATEGORY_ZP);
}

// Letters, marks and numbers are Unicode's first categories.
bool is_spoken(utf8proc_int32_t c) {
  const utf8proc_category_t of = utf8proc_category(c);
  return (UTF8PROC_CATEGORY_LU <= of && of <= UTF8PROC_CATEGORY_NO) || c == '\'';
}

// A unit of text from byte `at` on; moves `at` behind it.
std::string_view next_unit(std::string_view text, TextUnits units, std::size_t& at) {
  const std::size_t begin = at;
  if (units == TextUnits::characters)
    next_utf8(text, at);
  else
    at = units == TextUnits::bytes ? at + 1 : std::min(text.find(' ', at), text.size());
  const std::string_view unit = text.substr(begin, at - begin);
  if (units == TextUnits::words && at < text.size()) ++at;
  return unit;
}

std::vector<std::string> names_in(const std::vector<std::string>& texts, TextUnits units) {
  std::set<std::string, std::less<>> found;
  for (const std::string& text : texts)
    for (std::size_t at = 0; at < text.size();) found.emplace(next_unit(text, units, at));
  std::vector<std::string> names{std::string(kBlankName), std::string(kUnknownName)};
  names.insert(names.end(), found.begin(), found.end());
  names.emplace_back(kEdgeName);
  return names;
}

}  // namespace

std::string normalized_transcript(std::string_view text, bool letters_only) {
  const std::size_t valid = valid_utf8_bytes(text);
  require(valid == text.size(), "byte ", valid, " is not UTF-8");
  std::string plain;
  for (std::size_t at = 0; at < text.size();) {
    auto c = static_cast<utf8proc_int32_t>(next_utf8(text, at));
    if (c == 0x2019) c = '\'';  // the typographic apostrophe
    if (is_space(c) || (letters_only && !is_spoken(c))) {
      if (!plain.empty() && plain.back() != ' ') plain += ' ';
    } else {
      append(plain, letters_only ? utf8proc_tolower(c) : c);
    }
  }
  if (!plain.empty() && plain.back() == ' ') plain.pop_back();
  return composed(plain);
}

TextUnits text_units_of(std::string_view name) {
  if (name == "characters") return TextUnits::characters;
  if (name == "words") return TextUnits::words;
  if (name == "bytes") return TextUnits::bytes;
  raise("units \"" + std::string(name) + "\" are none of characters, words and bytes");
}

Labels Labels::of_texts(const std::vector<std::string>& texts, TextUnits units) {
  return {names_in(texts, units), units};
}

Labels::Labels(std::vector<std::string> names, TextUnits units)
    : names_(std::move(names)), units_(units) {
  require(names_.size() > 3 && names_[kBlank] == kBlankName && names_[kUnknown] == kUnknownName &&
              names_.back() == kEdgeName,
          "labels of speech are ", kBlankName, ", ", kUnknownName, ", at least one unit, ",
          kEdgeName);
  for (std::int32_t label = kUnknown + 1; label < edge(); ++label)
    numbers_.emplace(names_[static_cast<std::size_t>(label)], label);
}

std::vector<std::int32_t> Labels::of(std::string_view text) const {
  std::vector<std::int32_t> labels;
  for (std::size_t at = 0; at < text.size();) {
    const auto found = numbers_.find(next_unit(text, units_, at));
    labels.push_back(found == numbers_.end() ? kUnknown : found->second);
  }
  return labels;
}

std::string Labels::text(std::span<const std::int32_t> labels) const {
  std::string text;
  for (const std::int32_t label : labels) {
    if (label <= kUnknown || label >= edge()) continue;
    if (units_ == TextUnits::words && !text.empty()) text += ' ';
    text += names_[static_cast<std::size_t>(label)];
  }
  return text;
}

}  // namespace fusor
