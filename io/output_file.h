#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "io/file.h"

namespace fusor {

// A file being written from its first byte to its last; what stood at `path` before is cut to
// nothing. Every call throws Error naming the path and the system's reason ("No space left on
// device"). Nothing is certain to be on the disk before finish().
class OutputFile {
 public:
  explicit OutputFile(std::string path);
  const std::string& path() const { return path_; }
  void write(std::span<const std::byte> bytes);
  void write(std::string_view text) { write(std::as_bytes(std::span(text))); }
  std::uint64_t size() const { return size_; }  // bytes written so far
  void finish();                                // fsync and close: the last call

 private:
  std::string path_;
  Handle<int, close_descriptor, -1> fd_;
  std::uint64_t size_ = 0;
};

// A new file at `path` that holds `text` and is on the disk when this returns.
void write_text_file(const std::string& path, std::string_view text);

// rename(2), then fsync of the folders that hold the two names: after a power cut there is the old
// name or the new one.
void rename_durably(const std::string& from, const std::string& to);

}  // namespace fusor
