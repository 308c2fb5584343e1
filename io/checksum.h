#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

// XXH3-64 with seed 0 (github.com/Cyan4973/xxHash, doc/xxhash_spec.md): guards every shard of a
// dataset and every file of a checkpoint against truncation and bit rot, not against forgery.
namespace fusor {

std::uint64_t checksum(std::span<const std::byte> bytes);
inline std::uint64_t checksum(const void* data, std::size_t size) {
  return checksum({static_cast<const std::byte*>(data), size});
}

// The checksum of all bytes given to update() so far, in order, however they were cut.
class ChecksumStream {
 public:
  ChecksumStream();
  ~ChecksumStream();
  ChecksumStream(ChecksumStream&&) noexcept;
  ChecksumStream& operator=(ChecksumStream&&) noexcept;
  void update(std::span<const std::byte> bytes);
  void update(const void* data, std::size_t size) {
    update({static_cast<const std::byte*>(data), size});
  }
  std::uint64_t value() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Of `length` bytes of a file from `offset`; throws Error naming the file when it cannot be read or
// ends too soon. The second reads to the end of the file.
std::uint64_t checksum_file(const std::string& path, std::uint64_t offset, std::uint64_t length);
std::uint64_t checksum_file(const std::string& path);

// 16 lower-case hex digits, the most significant first, as manifests hold it and `xxhsum -H3`
// prints it.
std::string checksum_text(std::uint64_t value);

}  // namespace fusor
