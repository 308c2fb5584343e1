#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "io/dataset.h"
#include "io/record_shard.h"

namespace fusor {

// One split of a dataset of records, open for reading: its shards' rows in manifest order. All
// calls may come from any number of threads.
class RecordDataset {
 public:
  // Throws Error naming the folder, split or shard that is missing or disagrees with the manifest.
  RecordDataset(const std::string& folder, const std::string& split, const DatasetOptions& = {});

  const RecordManifest& manifest() const { return manifest_; }
  const std::string& folder() const { return folder_; }
  const std::string& split() const { return split_; }
  std::int64_t num_rows() const { return starts_.back(); }
  std::size_t index_of(std::string_view field) const;  // throws Error when there is none
  const FieldInfo& field(std::size_t field) const { return manifest_.fields.at(field); }

  // Columns of all rows, on every rank: what a batch will hold is known before it is read.
  std::span<const FieldSet> present() const { return present_; }  // [num_rows]
  std::vector<std::int64_t> lengths(std::size_t field) const;     // [num_rows], see length()
  std::vector<std::uint64_t> groups() const;                      // [num_rows]
  // Of a field of one number, zero where it is absent; T must be its type.
  template <class T>
  std::vector<T> column(std::size_t field) const {
    check_type(field, element_type_of<T>);
    std::vector<T> rows(static_cast<std::size_t>(num_rows()));
    read_column(field, std::as_writable_bytes(std::span(rows)));
    return rows;
  }

  bool has(std::size_t field, std::int64_t row) const;
  // Items of a field in a row: 0 where it is absent, 1 for a field that is not ragged.
  std::int64_t length(std::size_t field, std::int64_t row) const;
  // Elements of a field in a row.
  std::int64_t size(std::size_t field, std::int64_t row) const;
  // A row's value: `out` holds size(field, row) elements of the field's type.
  template <class T>
  void read(std::size_t field, std::int64_t row, std::span<T> out) const {
    check_type(field, element_type_of<T>);
    read_stored(field, row, std::as_writable_bytes(out));
  }
  template <class T>
  std::vector<T> read(std::size_t field, std::int64_t row) const {
    std::vector<T> value(static_cast<std::size_t>(size(field, row)));
    read(field, row, std::span(value));
    return value;
  }
  void read_stored(std::size_t field, std::int64_t row, std::span<std::byte> out) const;

 private:
  struct Place {
    std::size_t shard;
    std::int64_t row;  // in the shard
  };
  Place place_of(std::int64_t row) const;
  void check_type(std::size_t field, ElementType type) const;
  void read_column(std::size_t field, std::span<std::byte> out) const;

  std::string folder_, split_;
  RecordManifest manifest_;
  std::vector<RecordShard> shards_;
  std::vector<std::int64_t> starts_{0};  // [num_shards + 1] first row of each shard, then the end
  std::vector<FieldSet> present_;
};

}  // namespace fusor
