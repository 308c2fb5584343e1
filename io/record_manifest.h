#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "io/element_type.h"
#include "io/shard_file.h"
#include "runtime/shape.h"

// The manifest of a dataset of records: rows of named fields, any of which may be absent from a
// row.
namespace fusor {

// A field's value in a row is an array [shape...], or where the field is ragged [length, shape...]
// with a length of the row's own: encoded images and UTF-8 text (u8), sound (i16), token ids.
struct FieldInfo {
  std::string name;  // of a-z, 0-9 and _, starting with a letter
  ElementType type = ElementType::u8;
  bool ragged = false;
  Shape shape{};                     // []: one number
  std::vector<std::string> names{};  // what the values 0, 1, ... of an integer field stand for
  std::map<std::string, std::string> attributes{};  // "sample_rate": "16000"

  std::int64_t item_bytes() const;  // of [shape...]
};

// Bit f is set where field f is there.
using FieldSet = std::uint32_t;
inline constexpr std::size_t kMaxFields = 32;

struct RecordShardInfo {
  std::string file;  // inside the dataset's folder
  std::int64_t rows = 0;
  std::vector<std::int64_t> items;        // of each ragged field, all rows' lengths; of others 0
  std::map<FieldSet, std::int64_t> sets;  // the rows that hold just these fields
  ShardFile stored;
};

struct RecordSplit {
  std::string name;  // "train", "val", "test"
  std::vector<RecordShardInfo> shards;
  std::int64_t num_rows() const;
  std::int64_t num_items(std::size_t field) const;
  std::map<FieldSet, std::int64_t> sets() const;
};

struct RecordManifest {
  std::vector<FieldInfo> fields;
  std::vector<RecordSplit> splits;

  const RecordSplit* find(std::string_view split) const;  // null when there is none
  // Throws Error that lists the fields when there is none of this name.
  std::size_t index_of(std::string_view field) const;
};

// Throws Error naming the field at fault unless there are 1 to kMaxFields, named as FieldInfo says,
// none twice, with shapes of positive extents and names only for integers.
void check_fields(const std::vector<FieldInfo>& fields);

// Throws Error naming `file` and the key for anything but a manifest of a version this program
// reads whose counts can be true.
RecordManifest parse_record_manifest(std::string_view text, const std::string& file);
// Of a dataset's folder; throws Error when the folder or its manifest is missing.
RecordManifest read_record_manifest(const std::string& folder);
std::string to_text(const RecordManifest&);

}  // namespace fusor
