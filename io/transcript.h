#pragma once
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace fusor {

// The text in Unicode's composed form (NFC), its runs of spaces made one and none at its ends. With
// `letters_only` also lower-cased, and what is no letter, mark, digit or apostrophe is a space.
// Throws Error with the byte where it is not UTF-8.
std::string normalized_transcript(std::string_view text, bool letters_only);

// What a speech model's labels stand for: characters of Unicode, words between spaces, or bytes.
enum class TextUnits : std::uint8_t { characters, words, bytes };
TextUnits text_units_of(std::string_view name);  // throws Error naming those there are

// The labels of a speech model. Label 0 is CTC's blank, label 1 stands for every unit that the
// training texts do not have, and the last begins and ends the texts of a decoder.
class Labels {
 public:
  // Of these texts' units, in order of their bytes.
  static Labels of_texts(const std::vector<std::string>& texts, TextUnits units);
  // By their names, as a dataset's manifest has them.
  Labels(std::vector<std::string> names, TextUnits units);

  static constexpr std::int32_t kBlank = 0, kUnknown = 1;
  std::int32_t edge() const { return static_cast<std::int32_t>(names_.size()) - 1; }
  const std::vector<std::string>& names() const { return names_; }

  std::vector<std::int32_t> of(std::string_view text) const;
  // The text of labels; those that are no unit's are left out.
  std::string text(std::span<const std::int32_t> labels) const;

 private:
  std::vector<std::string> names_;
  std::map<std::string, std::int32_t, std::less<>> numbers_;
  TextUnits units_;
};

}  // namespace fusor
