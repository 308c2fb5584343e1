#include "io/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "runtime/error.h"

namespace fusor {

void close_descriptor(int fd) { ::close(fd); }

File::File(std::string path)
    : path_(std::move(path)), fd_(::open(path_.c_str(), O_RDONLY | O_CLOEXEC)) {
  check_errno(bool(fd_), "cannot open " + path_);
  struct stat info;
  check_errno(::fstat(fd_.get(), &info) == 0, "cannot stat " + path_);
  require(!S_ISDIR(info.st_mode), path_, " is a folder, not a file");
}

std::uint64_t File::size() const {
  struct stat info;
  check_errno(::fstat(fd_.get(), &info) == 0, "cannot stat " + path_);
  return static_cast<std::uint64_t>(info.st_size);
}

void File::read(std::span<std::byte> to, std::uint64_t offset) const {
  while (!to.empty()) {
    const ssize_t got = ::pread(fd_.get(), to.data(), to.size(), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) [[unlikely]] {  // the messages cost more than the read
      check_errno(got == 0, "cannot read " + path_);
      raise(path_ + " is truncated: it ends at byte " + std::to_string(size()) + ", before byte " +
            std::to_string(offset + to.size()));
    }
    to = to.subspan(static_cast<std::size_t>(got));
    offset += static_cast<std::uint64_t>(got);
  }
}

std::string read_text_file(const std::string& path, std::uint64_t max_bytes) {
  const File file(path);
  const std::uint64_t size = file.size();
  require(size <= max_bytes, path, " has ", size, " bytes, more than the ", max_bytes,
          " such a file may have");
  std::string text(size, '\0');
  file.read(std::as_writable_bytes(std::span(text)), 0);
  return text;
}

void sync_to_disk(const std::string& path) {
  const Handle<int, close_descriptor, -1> fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  check_errno(bool(fd), "cannot open " + path);
  check_errno(::fsync(fd.get()) == 0, "cannot flush " + path);
}

}  // namespace fusor
