#include "launch/values.h"

#include <charconv>
#include <cmath>

namespace fusor {
namespace {

template <class T>
bool parse_number(std::string_view text, T& value) {
  T parsed{};
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, parsed);
  if (error != std::errc() || stop != end) return false;
  value = parsed;
  return true;
}

}  // namespace

bool parse_value(std::string_view text, std::int64_t& value) {
  if (parse_number(text, value)) return true;
  constexpr double kExact = 9007199254740992;  // 2^53: every whole number below is a double
  double number = 0;
  if (!parse_number(text, number) || std::trunc(number) != number || std::abs(number) > kExact)
    return false;
  value = static_cast<std::int64_t>(number);
  return true;
}

bool parse_value(std::string_view text, double& value) {
  double number = 0;
  if (!parse_number(text, number) || !std::isfinite(number)) return false;
  value = number;
  return true;
}

bool parse_value(std::string_view text, bool& value) {
  if (text != "true" && text != "false") return false;
  value = text == "true";
  return true;
}

bool parse_value(std::string_view text, std::string& value) {
  constexpr std::string_view kBlanks = " \t\r";
  if (text.find_first_of("#\n") != text.npos) return false;
  if (!text.empty() &&
      (kBlanks.find(text.front()) != text.npos || kBlanks.find(text.back()) != text.npos))
    return false;
  value = text;
  return true;
}

std::string to_text(std::int64_t value) { return std::to_string(value); }

std::string to_text(double value) {
  std::array<char, 32> text;
  return {text.data(), std::to_chars(text.data(), text.data() + text.size(), value).ptr};
}

std::string to_text(bool value) { return value ? "true" : "false"; }

}  // namespace fusor
