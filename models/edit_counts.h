#pragma once
#include <cstdint>
#include <span>
#include <string_view>

namespace fusor {

// What an alignment of a hypothesis with its reference holds. Of all alignments, one of the fewest
// errors is meant, and of these one of the most hits: that fixes all four numbers.
struct EditCounts {
  std::int64_t hits = 0, substitutions = 0, deletions = 0, insertions = 0;

  std::int64_t length() const { return hits + substitutions + deletions; }  // of the reference
  std::int64_t errors() const { return substitutions + deletions + insertions; }
  // Errors for each unit of the references; may be above 1. Of empty references it is 0 without an
  // error, else infinite.
  double rate() const;

  EditCounts& operator+=(const EditCounts& other);
  bool operator==(const EditCounts&) const = default;
};

EditCounts edit_counts(std::span<const std::int32_t> reference,
                       std::span<const std::int32_t> hypothesis);

// Of words, what stands between spaces (ASCII), and of characters, Unicode's, where a run of spaces
// is one and those at the ends are none. Summed over samples, rate() is the word or character error
// rate. Throws Error where a text is not UTF-8.
EditCounts word_edits(std::string_view reference, std::string_view hypothesis);
EditCounts character_edits(std::string_view reference, std::string_view hypothesis);

}  // namespace fusor
