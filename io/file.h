#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "runtime/handle.h"

namespace fusor {

void close_descriptor(int fd);

// A file open for reading at any offset, from any number of threads.
class File {
 public:
  // Throws Error naming the file when it is missing, is a folder or may not be read.
  explicit File(std::string path);
  const std::string& path() const { return path_; }
  std::uint64_t size() const;  // bytes, now
  // Fills `to` from `offset`; throws Error naming the file, also when it ends before that.
  void read(std::span<std::byte> to, std::uint64_t offset) const;

 private:
  std::string path_;
  Handle<int, close_descriptor, -1> fd_;
};

// The whole file; throws Error when it is longer than max_bytes.
std::string read_text_file(const std::string& path, std::uint64_t max_bytes);

// fsync of a file or folder, so that what it holds (a folder: its names) survives a power cut.
void sync_to_disk(const std::string& path);

}  // namespace fusor
