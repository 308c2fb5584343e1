#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "io/element_type.h"
#include "io/file.h"
#include "runtime/shape.h"

namespace fusor {

// A dataset of an HDF5 file that is stored plainly, contiguous or chunked along its first dim: its
// places in the file are looked up through HDF5 once, then rows are read with pread, from any
// number of threads, outside HDF5's global lock.
class StoredArray {
 public:
  StoredArray() = default;
  // Of `file`, which HDF5 has open as `hdf5_file`. `type` is the identifier of the HDF5 type it
  // must have, `type_name` the word for that. Throws Error naming file and dataset when there is
  // none or it cannot be read in this way.
  StoredArray(const File& file, std::int64_t hdf5_file, std::string name, std::int64_t type,
              std::string_view type_name);

  const Shape& shape() const { return shape_; }  // [rows, ...]
  std::int64_t num_rows() const { return shape_.empty() ? 0 : shape_[0]; }
  std::int64_t row_bytes() const { return row_bytes_; }
  // Whole rows from the first-th on. Throws Error naming the file on an I/O error and on rows that
  // are not there.
  void read(const File& file, std::int64_t first, std::span<std::byte> out) const;
  // All of it; T is what a row holds.
  template <class T>
  std::vector<T> read_all(const File& file) const {
    std::vector<T> rows(static_cast<std::size_t>(num_rows()));
    read(file, 0, std::as_writable_bytes(std::span(rows)));
    return rows;
  }

 private:
  struct Extent {  // rows that lie together in the file
    std::int64_t first = 0, count = 0;
    std::uint64_t file_offset = 0;
  };
  void find_extents(const File& file, std::int64_t dataset);
  void find_chunks(const File& file, std::int64_t dataset, std::int64_t chunk_rows);
  std::int64_t chunk_rows(const File& file, std::int64_t layout) const;

  std::string name_;
  Shape shape_;
  std::int64_t row_bytes_ = 0;
  std::vector<Extent> extents_;  // in order of `first`, without gaps
};

// HDF5's identifier of the type in which elements are stored.
std::int64_t hdf5_type(ElementType);

}  // namespace fusor
