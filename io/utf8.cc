#include "io/utf8.h"

#include <utf8proc.h>

#include <cstring>

#include "runtime/error.h"

namespace fusor {
namespace {

// 0: not a character.
std::size_t decode(std::string_view text, std::size_t at, std::int32_t& c) {
  const auto* bytes = reinterpret_cast<const utf8proc_uint8_t*>(text.data() + at);
  const auto length = utf8proc_iterate(bytes, static_cast<utf8proc_ssize_t>(text.size() - at), &c);
  return length > 0 ? static_cast<std::size_t>(length) : 0;
}

// Whether the 8 bytes from `at` on are ASCII.
bool is_ascii_word(std::string_view text, std::size_t at) {
  std::uint64_t word = 0;
  if (text.size() - at < sizeof word) return false;
  std::memcpy(&word, text.data() + at, sizeof word);
  return (word & 0x8080808080808080) == 0;
}

}  // namespace

std::size_t valid_utf8_bytes(std::string_view text) {
  std::int32_t ignored = 0;
  for (std::size_t at = 0; at < text.size();) {
    if (is_ascii_word(text, at)) {
      at += 8;
      continue;
    }
    const std::size_t length = decode(text, at, ignored);
    if (length == 0) return at;
    at += length;
  }
  return text.size();
}

char32_t next_utf8(std::string_view text, std::size_t& at) {
  std::int32_t c = 0;
  const std::size_t length = decode(text, at, c);
  require(length > 0, "byte ", at, " of a text is not UTF-8");
  at += length;
  return static_cast<char32_t>(c);
}

}  // namespace fusor
