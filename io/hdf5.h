#pragma once
#include <hdf5.h>

#include <cstddef>
#include <cstdint>
#include <source_location>
#include <span>
#include <string>
#include <string_view>

#include "runtime/handle.h"
#include "runtime/shape.h"

// The little of HDF5's C API that shards need. Not installed: no public header shows HDF5.
namespace fusor {

template <auto Close>
using Hdf5Handle = Handle<hid_t, Close, hid_t{-1}>;
using Hdf5File = Hdf5Handle<H5Fclose>;
using Hdf5Dataset = Hdf5Handle<H5Dclose>;
using Hdf5Space = Hdf5Handle<H5Sclose>;
using Hdf5Type = Hdf5Handle<H5Tclose>;
using Hdf5List = Hdf5Handle<H5Pclose>;

// Keeps HDF5 from printing its errors on this thread while it lives: they become exceptions.
class Hdf5Quiet {
 public:
  Hdf5Quiet();
  ~Hdf5Quiet();
  Hdf5Quiet(const Hdf5Quiet&) = delete;
  Hdf5Quiet& operator=(const Hdf5Quiet&) = delete;

 private:
  H5E_auto2_t print_ = nullptr;
  void* data_ = nullptr;
};

// The status of a call: throws with "what: the innermost cause" when it is negative.
void check_hdf5(std::int64_t status, const std::string& what,
                std::source_location at = std::source_location::current());

// Without a file lock: shards never change once written, and parallel file systems often lack
// locks.
Hdf5File open_hdf5(const std::string& path);

// A dataset with exactly this stored type ("u8", for messages); throws Error naming the file and
// dataset for anything else.
Hdf5Dataset open_dataset(hid_t file, const std::string& path, const char* name, hid_t type,
                         std::string_view type_name);
Shape shape_of(hid_t dataset);
// The same, of one dim.
Hdf5Dataset open_vector(hid_t file, const std::string& path, const char* name, hid_t type,
                        std::string_view type_name);

// An HDF5 file being made in memory, so that HDF5 never meets a full disk: after a failed write it
// cannot close its file, and crashes when the program ends.
class Hdf5Image {
 public:
  explicit Hdf5Image(std::size_t expected_bytes);
  // A contiguous dataset.
  void add(const char* name, hid_t type, const void* data, const Shape& shape);
  std::span<const std::byte> bytes() const;  // the file; until the next change

 private:
  Hdf5File file_;
};

}  // namespace fusor
