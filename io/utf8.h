#pragma once
#include <cstdint>
#include <string_view>

namespace fusor {

// The bytes before the first one that is not part of a UTF-8 character; text.size() where all are.
std::size_t valid_utf8_bytes(std::string_view text);

// The character at byte `at` of valid UTF-8; moves `at` behind it.
char32_t next_utf8(std::string_view text, std::size_t& at);

}  // namespace fusor
