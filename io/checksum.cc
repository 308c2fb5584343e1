#include "io/checksum.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <cstdio>
#include <vector>

#include "io/file.h"
#include "runtime/error.h"

namespace fusor {

std::uint64_t checksum(std::span<const std::byte> bytes) {
  return XXH3_64bits(bytes.data(), bytes.size());
}

struct ChecksumStream::State {
  XXH3_state_t xxh;
};

ChecksumStream::ChecksumStream() : state_(std::make_unique<State>()) {
  XXH3_64bits_reset(&state_->xxh);
}
ChecksumStream::~ChecksumStream() = default;
ChecksumStream::ChecksumStream(ChecksumStream&&) noexcept = default;
ChecksumStream& ChecksumStream::operator=(ChecksumStream&&) noexcept = default;

void ChecksumStream::update(std::span<const std::byte> bytes) {
  XXH3_64bits_update(&state_->xxh, bytes.data(), bytes.size());
}

std::uint64_t ChecksumStream::value() const { return XXH3_64bits_digest(&state_->xxh); }

std::uint64_t checksum_file(const std::string& path, std::uint64_t offset, std::uint64_t length) {
  const File file(path);
  ChecksumStream stream;
  std::vector<std::byte> block(std::min<std::uint64_t>(length, 1 << 20));
  while (length > 0) {
    const std::span<std::byte> part(block.data(), std::min<std::uint64_t>(length, block.size()));
    file.read(part, offset);
    stream.update(part);
    offset += part.size();
    length -= part.size();
  }
  return stream.value();
}

std::uint64_t checksum_file(const std::string& path) {
  return checksum_file(path, 0, File(path).size());
}

std::string checksum_text(std::uint64_t value) {
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(value));
  return text;
}

}  // namespace fusor
