#pragma once
#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "launch/config.h"

namespace fusor {

// The values of recipe keys as text: parse_value(to_text(x), y) gives y == x. parse_value returns
// false, and leaves the value alone, when the text is not of its type; expected() says what is.

bool parse_value(std::string_view text, std::int64_t& value);  // 2000000 or 2e6
bool parse_value(std::string_view text, double& value);
bool parse_value(std::string_view text, bool& value);
bool parse_value(std::string_view text, std::string& value);  // what an INI line can hold

std::string to_text(std::int64_t);
std::string to_text(double);  // the shortest that reads back the same
std::string to_text(bool);
inline const std::string& to_text(const std::string& value) { return value; }

inline std::string expected(std::int64_t) { return "a whole number"; }
inline std::string expected(double) { return "a number"; }
inline std::string expected(bool) { return "true or false"; }
inline std::string expected(const std::string&) {
  return "text without '#', line breaks or blanks at its ends";
}

// What stands for a value in a help text.
inline std::string placeholder(std::int64_t) { return "N"; }
inline std::string placeholder(double) { return "X"; }
inline std::string placeholder(bool) { return "true|false"; }
inline std::string placeholder(const std::string&) { return "TEXT"; }

// The names of each choice, in the order of its enumerators.
constexpr auto names(Norm) { return std::to_array<std::string_view>({"layer_norm", "rms_norm"}); }
constexpr auto names(Activation) {
  return std::to_array<std::string_view>({"gelu", "swiglu", "gelu_erf"});
}
constexpr auto names(Positions) { return std::to_array<std::string_view>({"learned", "rotary"}); }
constexpr auto names(Reduce) { return std::to_array<std::string_view>({"fast", "exact"}); }
constexpr auto names(ScheduleKind) { return kScheduleNames; }
constexpr auto names(Recompute) {
  return std::to_array<std::string_view>({"none", "selective", "full"});
}
constexpr auto names(Framing) {
  return std::to_array<std::string_view>({"whole", "random_crop", "padded_crop"});
}
constexpr auto names(FrontEnd) { return std::to_array<std::string_view>({"whisper", "kaldi"}); }
constexpr auto names(BertHead) {
  return std::to_array<std::string_view>({"masked_words", "classes"});
}
constexpr auto names(Pooling) { return std::to_array<std::string_view>({"first", "mean"}); }
constexpr auto names(OnBadSample) { return std::to_array<std::string_view>({"fail", "skip"}); }
constexpr auto names(OnMismatch) { return std::to_array<std::string_view>({"fail", "fresh"}); }
constexpr auto names(Decay) {
  return std::to_array<std::string_view>({"constant", "linear", "cosine"});
}
constexpr auto names(TransportKind) {
  return std::to_array<std::string_view>({"auto", "nccl", "mpi"});
}
constexpr auto names(TrainDevice) {
  return std::to_array<std::string_view>({"auto", "cpu", "cuda"});
}
constexpr auto names(DType) {
  return std::to_array<std::string_view>({"f64", "f32", "bf16", "f16"});
}
static_assert(static_cast<int>(DType::f64) == 0 && static_cast<int>(DType::f32) == 1 &&
              static_cast<int>(DType::bf16) == 2 && static_cast<int>(DType::f16) == 3);

template <class E>
concept Choice = std::is_enum_v<E>;

template <Choice E>
bool parse_value(std::string_view text, E& value) {
  const auto all = names(E{});
  const auto found = std::find(all.begin(), all.end(), text);
  if (found == all.end()) return false;
  value = static_cast<E>(found - all.begin());
  return true;
}

template <Choice E>
std::string to_text(E value) {
  return std::string(names(E{}).at(static_cast<std::size_t>(value)));
}

// "fast|exact"
template <Choice E>
std::string placeholder(E) {
  std::string text;
  for (const std::string_view name : names(E{}))
    text += (text.empty() ? "" : "|") + std::string(name);
  return text;
}

template <Choice E>
std::string expected(E choice) {
  return "one of " + placeholder(choice);
}

}  // namespace fusor
