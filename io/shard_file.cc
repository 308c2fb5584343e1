#include "io/shard_file.h"

#include <array>
#include <bit>
#include <cstdio>

#include "io/checksum.h"
#include "io/output_file.h"
#include "runtime/error.h"

namespace fusor {

static_assert(std::endian::native == std::endian::little, "shards are little-endian");

ShardFile write_shard_file(const std::string& path, std::span<const std::byte> bytes) {
  OutputFile file(path);
  file.write(bytes);
  file.finish();
  return {std::ssize(bytes), checksum(bytes)};
}

void check_shard_file(const File& file, const ShardFile& expected, bool verify) {
  const auto bytes = static_cast<std::uint64_t>(expected.bytes);
  const std::uint64_t size = file.size();
  require(size >= bytes, file.path(), " is truncated: it has ", size, " bytes, its manifest says ",
          bytes);
  require(size == bytes, file.path(), " has ", size, " bytes, its manifest says ", bytes);
  if (!verify) return;
  const std::uint64_t found = checksum_file(file.path());
  require(found == expected.checksum, file.path(), " is damaged: its checksum is ",
          checksum_text(found), ", its manifest says ", checksum_text(expected.checksum));
}

std::string shard_name(const std::string& split, std::size_t index) {
  std::array<char, 32> number{};
  std::snprintf(number.data(), number.size(), "-%05zu.h5", index);
  return split + number.data();
}

}  // namespace fusor
