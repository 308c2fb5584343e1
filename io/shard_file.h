#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "io/file.h"

namespace fusor {

// What a manifest says of a shard's file.
struct ShardFile {
  std::int64_t bytes = 0;
  std::uint64_t checksum = 0;  // XXH3-64 of the whole file
};

// A new file that is on the disk when this returns.
ShardFile write_shard_file(const std::string& path, std::span<const std::byte> bytes);

// Throws Error naming the file unless it has these bytes; the checksum, which costs reading all of
// it, only if `verify`.
void check_shard_file(const File& file, const ShardFile& expected, bool verify);

// "train-00007.h5"
std::string shard_name(const std::string& split, std::size_t index);

}  // namespace fusor
