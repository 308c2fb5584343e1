#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "io/file.h"
#include "io/manifest.h"
#include "io/stored_array.h"

// A text shard is an HDF5 file that h5py can read and write:
//   tokens   [num_tokens]         u8, u16 or i32, contiguous or chunked, never compressed
//   offsets  [num_documents + 1]  i64: document d is tokens[offsets[d] : offsets[d + 1]]
// with all numbers little-endian.
namespace fusor {

// Writes a shard, flushed to the disk, and tells its entry of the manifest. `tokens` holds whole
// ids of the given type; the shard is put together in memory first.
ShardInfo write_text_shard(const std::string& folder, const std::string& name, TokenType type,
                           std::span<const std::byte> tokens,
                           std::span<const std::int64_t> offsets);

// Stored token ids as i32; `stored` holds out.size() of them, aligned for their type.
void widen(TokenType type, std::span<const std::byte> stored, std::span<std::int32_t> out);

// One shard open for reading: its place in the file is looked up through HDF5 once, then tokens are
// read with pread, from any number of threads, outside HDF5's global lock.
class TextShard {
 public:
  // Throws Error naming the shard and what is wrong when the file is missing, differs from `info`
  // in size, checksum (only if `verify`) or counts, or cannot be read in this way.
  TextShard(const std::string& folder, const ShardInfo& info, const Manifest& manifest,
            bool verify);

  std::int64_t num_tokens() const { return tokens_.num_rows(); }
  // Tokens [first, first + out.size()); throws Error naming the shard on an I/O error or an id
  // outside the vocabulary.
  void read(std::int64_t first, std::span<std::int32_t> out) const;
  // The same, as they are stored: `out` holds whole tokens and is aligned for their type.
  void read_stored(std::int64_t first, std::span<std::byte> out) const;

 private:
  void check_ids(std::span<const std::byte> tokens) const;

  File file_;
  TokenType type_;
  std::int64_t vocab_size_;
  StoredArray tokens_;
};

// The `offsets` of a shard, [num_documents + 1]; throws Error naming the shard unless they rise
// from 0 to the number of tokens and no document is empty.
std::vector<std::int64_t> read_offsets(const std::string& folder, const ShardInfo& info);

// Everything a shard can be asked: checksum, counts, offsets, every id inside the vocabulary.
void verify_text_shard(const std::string& folder, const ShardInfo& info, const Manifest& manifest);

}  // namespace fusor
