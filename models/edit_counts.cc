#include "models/edit_counts.h"

#include <algorithm>
#include <limits>
#include <unordered_map>
#include <utility>
#include <vector>

#include "io/utf8.h"
#include "runtime/error.h"

namespace fusor {
namespace {

constexpr std::string_view kSpaces = " \t\n\r\f\v";

std::vector<std::string_view> words_of(std::string_view text) {
  std::vector<std::string_view> words;
  for (std::size_t begin = text.find_first_not_of(kSpaces); begin != text.npos;) {
    const std::size_t end = std::min(text.find_first_of(kSpaces, begin), text.size());
    words.push_back(text.substr(begin, end - begin));
    begin = text.find_first_not_of(kSpaces, end);
  }
  return words;
}

std::vector<std::int32_t> characters_of(std::string_view text) {
  require(valid_utf8_bytes(text) == text.size(), "\"", text, "\" is not UTF-8");
  std::vector<std::int32_t> characters;
  for (const std::string_view word : words_of(text)) {
    if (!characters.empty()) characters.push_back(' ');
    for (std::size_t at = 0; at < word.size();)
      characters.push_back(static_cast<std::int32_t>(next_utf8(word, at)));
  }
  return characters;
}

}  // namespace

double EditCounts::rate() const {
  if (errors() == 0) return 0;
  if (length() == 0) return std::numeric_limits<double>::infinity();
  return static_cast<double>(errors()) / static_cast<double>(length());
}

EditCounts& EditCounts::operator+=(const EditCounts& other) {
  hits += other.hits;
  substitutions += other.substitutions;
  deletions += other.deletions;
  insertions += other.insertions;
  return *this;
}

// The least cost by rows of the reference (Wagner and Fischer, 1974). An error costs kError; a
// substitution one more, which orders alignments of as many errors by their substitutions, and so
// by their hits: where both lengths and the errors are fixed, two fewer of the one is one more of
// the other.
EditCounts edit_counts(std::span<const std::int32_t> reference,
                       std::span<const std::int32_t> hypothesis) {
  constexpr std::int64_t kError = std::int64_t{1} << 32;
  const auto n = std::ssize(reference), m = std::ssize(hypothesis);
  std::vector<std::int64_t> cost(hypothesis.size() + 1);
  for (std::size_t j = 0; j < cost.size(); ++j) cost[j] = static_cast<std::int64_t>(j) * kError;
  for (const std::int32_t unit : reference) {
    std::int64_t diagonal = std::exchange(cost[0], cost[0] + kError);
    for (std::size_t j = 1; j < cost.size(); ++j) {
      const std::int64_t matched = diagonal + (unit == hypothesis[j - 1] ? 0 : kError + 1);
      diagonal = cost[j];
      cost[j] = std::min({matched, cost[j - 1] + kError, cost[j] + kError});
    }
  }
  const std::int64_t errors = cost.back() / kError, substitutions = cost.back() % kError;
  const std::int64_t deletions = (errors - substitutions + n - m) / 2;
  return {.hits = n - substitutions - deletions,
          .substitutions = substitutions,
          .deletions = deletions,
          .insertions = errors - substitutions - deletions};
}

EditCounts word_edits(std::string_view reference, std::string_view hypothesis) {
  std::unordered_map<std::string_view, std::int32_t> ids;
  const auto units = [&](std::string_view text) {
    std::vector<std::int32_t> of;
    for (const std::string_view word : words_of(text))
      of.push_back(ids.try_emplace(word, static_cast<std::int32_t>(ids.size())).first->second);
    return of;
  };
  return edit_counts(units(reference), units(hypothesis));
}

EditCounts character_edits(std::string_view reference, std::string_view hypothesis) {
  return edit_counts(characters_of(reference), characters_of(hypothesis));
}

}  // namespace fusor
