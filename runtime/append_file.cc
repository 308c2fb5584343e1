#include "runtime/append_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "runtime/error.h"

namespace fusor {

void AppendFile::close(int fd) { ::close(fd); }

AppendFile::AppendFile(std::string path, Report report)
    : path_(std::move(path)),
      report_(std::move(report)),
      fd_(::open(path_.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666)) {
  check_errno(bool(fd_), "cannot open " + path_);
  struct stat info;
  check_errno(::fstat(fd_.get(), &info) == 0, "cannot stat " + path_);
  size_ = static_cast<std::uint64_t>(info.st_size);
}

std::string AppendFile::text() const {
  std::string text(size_, '\0');
  for (std::size_t done = 0; done < text.size();) {
    const ssize_t got =
        ::pread(fd_.get(), text.data() + done, text.size() - done, static_cast<off_t>(done));
    if (got < 0 && errno == EINTR) continue;
    check_errno(got >= 0, "cannot read " + path_);
    require(got > 0, path_, " became shorter while it was read");
    done += static_cast<std::size_t>(got);
  }
  return text;
}

void AppendFile::cut(std::uint64_t bytes) {
  if (bytes >= size_) return;
  check_errno(::ftruncate(fd_.get(), static_cast<off_t>(bytes)) == 0, "cannot cut " + path_);
  size_ = bytes;
}

void AppendFile::append(std::string_view line) {
  const std::string text = std::string(line) + '\n';
  ssize_t written;
  do written = ::write(fd_.get(), text.data(), text.size());
  while (written < 0 && errno == EINTR);
  if (written == static_cast<ssize_t>(text.size())) {
    size_ += text.size();
    return;
  }
  // A line cut short is what a full disk leaves of it; the next would be glued to it.
  const std::string why = std::strerror(written < 0 ? errno : ENOSPC);
  if (written > 0 && ::ftruncate(fd_.get(), static_cast<off_t>(size_)) != 0)
    size_ += static_cast<std::uint64_t>(written);
  if (!std::exchange(reported_, true))
    report_("cannot write " + path_ + ": " + why + "; the run goes on without the lines it loses");
}

}  // namespace fusor
