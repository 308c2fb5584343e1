#include <algorithm>
#include <iomanip>
#include <iostream>
#include <string>

#include "io/record_dataset.h"
#include "launch/data_actions.h"

namespace fusor {
namespace {

constexpr std::int64_t kRows = 3, kShown = 8;  // rows of a split; numbers, names or items of each
constexpr std::int64_t kTextShown = 70;        // bytes

std::string names_in(const std::vector<std::string>& names) {
  std::string text = std::to_string(names.size()) + " names: ";
  const auto shown = std::min(std::ssize(names), kShown);
  for (std::int64_t i = 0; i < shown; ++i)
    text += (i == 0 ? "" : ", ") + names[static_cast<std::size_t>(i)];
  return text + (std::ssize(names) > shown ? ", ..." : "");
}

void print_field(const FieldInfo& field) {
  std::cout << "  " << std::left << std::setw(12) << field.name << std::right
            << name_of(field.type);
  if (field.ragged) std::cout << ", of any length";
  if (!field.shape.empty()) std::cout << (field.ragged ? " x " : " ") << field.shape;
  for (const auto& [key, value] : field.attributes) std::cout << ", " << key << ' ' << value;
  if (!field.names.empty()) std::cout << ", " << names_in(field.names);
  std::cout << '\n';
}

std::string fields_in(FieldSet set, const std::vector<FieldInfo>& fields) {
  std::string text;
  for (std::size_t f = 0; f < fields.size(); ++f)
    if ((set >> f & 1) != 0) text += (text.empty() ? "" : " + ") + fields[f].name;
  return text.empty() ? "nothing" : text;
}

void print_split(const RecordSplit& split, const std::vector<FieldInfo>& fields) {
  std::cout << "  " << std::left << std::setw(12) << split.name << std::right
            << counted(split.num_rows(), "row") << ", "
            << counted(std::ssize(split.shards), "shard");
  for (std::size_t f = 0; f < fields.size(); ++f)
    if (fields[f].ragged)
      std::cout << ", " << fields[f].name << " of " << split.num_items(f) << " in all";
  std::cout << '\n';
  const auto sets = split.sets();
  if (sets.size() == 1 && sets.begin()->first + std::uint64_t{1} == std::uint64_t{1}
                                                                        << fields.size())
    return;
  for (const auto& [set, rows] : sets)
    std::cout << std::setw(16) << rows << " with " << fields_in(set, fields) << '\n';
}

template <class T>
std::string numbers_of(const RecordDataset& data, std::size_t f, std::int64_t row) {
  const FieldInfo& field = data.field(f);
  const std::vector<T> values = data.read<T>(f, row);
  std::string text;
  for (std::int64_t i = 0; i < std::min(std::ssize(values), kShown); ++i) {
    const T value = values[static_cast<std::size_t>(i)];
    text += (i == 0 ? "" : " ") + std::to_string(value);
    if (const auto name = static_cast<std::size_t>(value);
        field.names.size() > name && value >= T{0})
      text += " (" + field.names[name] + ")";
  }
  return text + (std::ssize(values) > kShown ? " ..." : "");
}

std::string text_of(const RecordDataset& data, std::size_t f, std::int64_t row) {
  const auto bytes = data.read<char>(f, row);
  const auto shown = static_cast<std::size_t>(std::min(std::ssize(bytes), kTextShown));
  return escape({bytes.data(), shown}) + (bytes.size() > shown ? " ..." : "");
}

std::string value_of(const RecordDataset& data, std::size_t f, std::int64_t row) {
  const FieldInfo& field = data.field(f);
  const auto encoding = field.attributes.find("encoding");
  if (encoding != field.attributes.end() && encoding->second == "utf-8")
    return text_of(data, f, row);
  if (field.ragged && field.type == ElementType::u8) return counted(data.length(f, row), "byte");
  switch (field.type) {
    case ElementType::u8:
      return numbers_of<std::uint8_t>(data, f, row);
    case ElementType::u16:
      return numbers_of<std::uint16_t>(data, f, row);
    case ElementType::i16:
      return numbers_of<std::int16_t>(data, f, row);
    case ElementType::i32:
      return numbers_of<std::int32_t>(data, f, row);
    case ElementType::i64:
      return numbers_of<std::int64_t>(data, f, row);
    case ElementType::f32:
      return numbers_of<float>(data, f, row);
  }
  return {};
}

void print_first_rows(const RecordDataset& data) {
  for (std::int64_t row = 0; row < std::min(kRows, data.num_rows()); ++row) {
    std::cout << "  " << data.split() << '[' << row << ']';
    for (std::size_t f = 0; f < data.manifest().fields.size(); ++f)
      if (data.has(f, row))
        std::cout << ", " << data.field(f).name << ' ' << value_of(data, f, row);
    std::cout << '\n';
  }
}

}  // namespace

void inspect_records(const std::string& folder) {
  const RecordManifest manifest = read_record_manifest(folder);
  std::cout << folder << ": records of " << counted(std::ssize(manifest.fields), "field") << '\n';
  for (const FieldInfo& field : manifest.fields) print_field(field);
  for (const RecordSplit& split : manifest.splits) print_split(split, manifest.fields);
  std::cout << "first rows\n";
  for (const RecordSplit& split : manifest.splits)
    print_first_rows(RecordDataset(folder, split.name, {.verify_checksums = false}));
}

}  // namespace fusor
