#include "io/output_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <utility>

#include "runtime/error.h"

namespace fusor {

OutputFile::OutputFile(std::string path)
    : path_(std::move(path)),
      fd_(::open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666)) {
  check_errno(bool(fd_), "cannot create " + path_);
}

void OutputFile::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd_.get(), bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    check_errno(written >= 0, "cannot write " + path_);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
    size_ += static_cast<std::uint64_t>(written);
  }
}

void OutputFile::finish() {
  check_errno(::fsync(fd_.get()) == 0, "cannot flush " + path_);
  check_errno(::close(fd_.release()) == 0, "cannot close " + path_);
}

void write_text_file(const std::string& path, std::string_view text) {
  OutputFile file(path);
  file.write(text);
  file.finish();
}

void rename_durably(const std::string& from, const std::string& to) {
  namespace fs = std::filesystem;
  check_errno(std::rename(from.c_str(), to.c_str()) == 0, "cannot rename " + from + " to " + to);
  const fs::path source = fs::absolute(from).parent_path(), target = fs::absolute(to).parent_path();
  sync_to_disk(target.string());
  if (source != target) sync_to_disk(source.string());
}

}  // namespace fusor
