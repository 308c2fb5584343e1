#include "io/idx.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <span>

#include "runtime/error.h"
#include "runtime/handle.h"

namespace fusor {
namespace {

constexpr std::int64_t kMaxValues = std::int64_t{1} << 40;
constexpr std::size_t kReadBytes = std::size_t{1} << 24;

class GzipFile {
 public:
  explicit GzipFile(const std::string& path) : path_(path), file_(gzopen(path.c_str(), "rb")) {
    check_errno(bool(file_), "cannot open " + path);
  }
  void read(std::span<std::uint8_t> to) const {
    const int got = gzread(file_.get(), to.data(), static_cast<unsigned>(to.size()));
    require(got == static_cast<int>(to.size()), path_, " is cut short or corrupt");
  }
  bool at_end() const {
    std::uint8_t byte = 0;
    return gzread(file_.get(), &byte, 1) == 0;
  }

 private:
  const std::string& path_;
  Handle<gzFile, gzclose> file_;
};

}  // namespace

IdxArray read_idx(const std::string& path, std::size_t dims) {
  const GzipFile file(path);
  std::array<std::uint8_t, 4> head{};
  file.read(head);
  require(head[0] == 0 && head[1] == 0 && head[2] == 8 && head[3] == dims, path,
          " is not an IDX file of bytes with ", dims, " dims");
  IdxArray array;
  std::int64_t count = 1;
  for (std::size_t d = 0; d < dims; ++d) {
    file.read(head);
    const std::int64_t extent =
        std::int64_t{head[0]} << 24 | head[1] << 16 | head[2] << 8 | head[3];
    require(extent > 0 && count <= kMaxValues / extent, path, " cannot have an extent of ", extent);
    array.shape.push_back(extent);
    count *= extent;
  }
  while (std::ssize(array.values) < count) {  // so that a short file never takes what it claims
    const std::size_t at = array.values.size();
    array.values.resize(std::min(static_cast<std::size_t>(count), at + kReadBytes));
    file.read(std::span(array.values).subspan(at));
  }
  require(file.at_end(), path, " is longer than its shape ", array.shape, " says");
  return array;
}

}  // namespace fusor
