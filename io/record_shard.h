#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "io/file.h"
#include "io/record_manifest.h"
#include "io/stored_array.h"

// A shard of records is an HDF5 file that h5py can read and write, all numbers little-endian:
//   present    [rows]             u32: bit f is set where field f of the manifest is in the row
//   group      [rows]             u64: hash of what must stay on one side of a split
//   NAME       [rows, shape...]   of each field that is not ragged; zeros where absent
//   NAME       [items, shape...]  of each ragged one: row r holds [NAME_offsets[r] : [r + 1]]
//   NAME_offsets  [rows + 1]      i64
// contiguous or chunked along the first dim, never compressed.
namespace fusor {

// The rows of a shard that is being put together in memory.
struct RecordColumns {
  struct Field {
    std::vector<std::byte> values;
    std::vector<std::int64_t> offsets{0};  // of a ragged field, in items
  };
  explicit RecordColumns(std::size_t num_fields) : fields(num_fields) {}
  std::vector<FieldSet> present;
  std::vector<std::uint64_t> groups;
  std::vector<Field> fields;
};

// Writes a shard, flushed to the disk, and tells its entry of the manifest.
RecordShardInfo write_record_shard(const std::string& folder, const std::string& name,
                                   const std::vector<FieldInfo>& fields,
                                   const RecordColumns& columns);

// One shard open for reading. `present` and offsets are in memory, 4 and 8 bytes a row; the rest is
// read with pread, from any number of threads.
class RecordShard {
 public:
  // Throws Error naming the shard and what is wrong when the file is missing, differs from `info`
  // in size, checksum (only if `verify`) or counts, or cannot be read in this way.
  RecordShard(const std::string& folder, const RecordShardInfo& info,
              const std::vector<FieldInfo>& fields, bool verify);

  const std::string& path() const { return file_.path(); }
  std::int64_t num_rows() const { return static_cast<std::int64_t>(present_.size()); }
  std::span<const FieldSet> present() const { return present_; }  // [rows]
  std::vector<std::uint64_t> groups() const { return groups_.read_all<std::uint64_t>(file_); }
  // Items of a field in a row: 0 where it is absent, 1 for a field that is not ragged.
  std::int64_t length(std::size_t field, std::int64_t row) const;
  // Rows [first, first + count) of a field, which must be exactly out.size() bytes.
  void read(std::size_t field, std::int64_t first, std::int64_t count,
            std::span<std::byte> out) const;

 private:
  struct Column {
    StoredArray values;
    std::vector<std::int64_t> offsets;  // [rows + 1]; empty unless ragged
  };
  Column open_column(std::int64_t hdf5_file, const FieldInfo& field, std::int64_t rows,
                     std::int64_t items) const;
  void check_present(const RecordShardInfo& info, std::size_t num_fields) const;
  void check_lengths(std::size_t field, const std::string& name) const;

  File file_;
  std::vector<FieldSet> present_;
  StoredArray groups_;
  std::vector<Column> columns_;
};

// Everything a shard can be asked, values of fields with names included.
void verify_record_shard(const std::string& folder, const RecordShardInfo& info,
                         const std::vector<FieldInfo>& fields);

}  // namespace fusor
