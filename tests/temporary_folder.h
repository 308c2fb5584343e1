#pragma once
#include <cstdlib>
#include <filesystem>
#include <string>

#include "runtime/error.h"

namespace fusor {

// An empty folder of its own for one test, removed with all it holds at the end.
class TemporaryFolder {
 public:
  TemporaryFolder() : path_((std::filesystem::temp_directory_path() / "fusor-XXXXXX").string()) {
    check_errno(::mkdtemp(path_.data()) != nullptr, "cannot create " + path_);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace fusor
