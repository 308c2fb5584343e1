#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "io/dataset_folder.h"
#include "io/record_manifest.h"
#include "io/record_shard.h"

namespace fusor {

// The value of a field in a row that is being written. It copies a number and refers to an array.
class FieldValue {
 public:
  FieldValue() = default;  // the field is absent
  template <class T>
  requires std::is_arithmetic_v<T> FieldValue(T number)
      : type_(element_type_of<T>), size_(sizeof(T)), there_(true) {
    std::memcpy(number_.data(), &number, sizeof(T));
  }
  template <class T>
  FieldValue(std::span<const T> values)
      : type_(element_type_of<T>),
        data_(reinterpret_cast<const std::byte*>(values.data())),
        size_(values.size_bytes()),
        there_(true) {}
  template <class T>
  FieldValue(const std::vector<T>& values) : FieldValue(std::span<const T>(values)) {}
  FieldValue(std::string_view utf8) : FieldValue(std::span<const char>(utf8)) {}

  bool there() const { return there_; }
  ElementType type() const { return type_; }
  std::span<const std::byte> bytes() const { return {data_ ? data_ : number_.data(), size_}; }

 private:
  ElementType type_ = ElementType::u8;
  std::array<std::byte, 8> number_{};
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  bool there_ = false;
};

// The hash of a group's key: rows with equal keys fall on the same side of a split.
std::uint64_t group_hash(std::string_view key);

struct RecordWriterConfig {
  std::string output{};  // a folder that does not exist yet
  std::vector<FieldInfo> fields{};
  HeldOutShares held_out{};
  std::uint64_t split_seed = 0;
  std::int64_t shard_bytes = std::int64_t{128} << 20;  // of values; a longer row is not cut
};

// Makes a dataset of records row by row. The folder is built under a temporary name beside `output`
// and renamed when whole; nothing is left of it unless finish() returned.
class RecordWriter {
 public:
  // Throws Error when the output exists or the fields or shares are not as they must be.
  explicit RecordWriter(RecordWriterConfig config);

  // A row: a value for each field, in their order. Its group's hash tells its split. Throws Error
  // naming the field of a value that is not of its type and shape, and for a row of no value.
  void add(std::uint64_t group, const std::vector<FieldValue>& row);
  // The same, into a split by name: of a-z, 0-9 and _.
  void add(const std::string& split, std::uint64_t group, const std::vector<FieldValue>& row);

  // To complete names and attributes, until finish().
  FieldInfo& field(std::string_view name) { return manifest_.fields[manifest_.index_of(name)]; }
  std::int64_t num_rows() const { return num_rows_; }
  // Where other files of the dataset may be put, until finish().
  const std::string& folder() const { return folder_.path(); }

  // Splits come in the order train, val, test, others. Throws Error when one that was asked for is
  // empty. The last call.
  RecordManifest finish();

 private:
  struct Split {
    RecordSplit info;
    RecordColumns columns;
    std::int64_t bytes = 0;
  };
  Split& split_named(const std::string& name);
  void append(Split& split, std::uint64_t group, const std::vector<FieldValue>& row);
  void flush(Split& split);
  void check(const std::vector<FieldValue>& row) const;
  void check_splits() const;

  RecordWriterConfig config_;
  RecordManifest manifest_;
  SplitByHash split_of_;
  DatasetFolder folder_;
  std::map<std::string, Split> splits_;
  std::int64_t num_rows_ = 0;
};

}  // namespace fusor
