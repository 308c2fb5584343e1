#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "runtime/handle.h"

namespace fusor {

// A log that grows by whole lines. A run must not die of its log: what cannot be written is lost,
// leaves no part of a line behind, and is reported once.
class AppendFile {
 public:
  using Report = std::function<void(const std::string&)>;

  // Opens or makes `path`; throws Error when it cannot. `report` gets one sentence when a line is
  // lost for the first time.
  AppendFile(std::string path, Report report);
  const std::string& path() const { return path_; }
  std::string text() const;            // all of it
  void cut(std::uint64_t bytes);       // drops what stands behind so many bytes
  void append(std::string_view line);  // without its line end; on its way to the disk on return

 private:
  static void close(int fd);
  std::string path_;
  Report report_;
  Handle<int, &AppendFile::close, -1> fd_;
  std::uint64_t size_ = 0;
  bool reported_ = false;
};

}  // namespace fusor
