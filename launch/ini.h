#pragma once
#include <iosfwd>
#include <map>
#include <string>
#include <type_traits>
#include <vector>

#include "launch/keys.h"
#include "launch/values.h"
#include "runtime/error.h"
#include "runtime/nearest.h"

namespace fusor {

using KeyValues = std::map<std::string, std::string>;  // "optimizer.lr" -> "3e-4"

// The `key = value` lines under [section]s of a text that is called `file`. Throws Error for a text
// that is no INI file and for a key given twice.
KeyValues read_ini(std::istream& text, const std::string& file);

// Throws Error where a number is outside its key's range; `source` is what the error names.
void check_range(const std::string& source, const Key& key, const std::string& text, double value);

// Sets fields from text. `visit(f)` calls f(Key, field) for each key there is. Throws Error with
// one sentence that names `source`, and the key with its value: for a value of the wrong type or
// out of its range, and for an unknown key, with the nearest known one or else with `help`.
template <class Visit>
void set_fields(const KeyValues& entries, const std::string& source, const std::string& help,
                Visit&& visit) {
  KeyValues left = entries;
  std::vector<std::string> known;
  visit([&](const Key& key, auto& field) {
    known.emplace_back(key.name);
    const auto entry = left.extract(known.back());
    if (entry.empty()) return;
    const std::string& text = entry.mapped();
    require(parse_value(text, field), source, ": ", key.name, " = ", text, " is not ",
            expected(field));
    using Field = std::remove_reference_t<decltype(field)>;
    if constexpr (std::is_same_v<Field, std::int64_t> || std::is_same_v<Field, double>)
      check_range(source, key, text, static_cast<double>(field));
  });
  if (left.empty()) return;
  const std::string& unknown = left.begin()->first;
  const std::string hint = did_you_mean(unknown, known);
  raise(source + ": unknown key \"" + unknown + "\"" + (hint.empty() ? ", " + help : hint));
}

}  // namespace fusor
