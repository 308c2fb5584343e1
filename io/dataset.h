#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "io/manifest.h"
#include "io/shard.h"

namespace fusor {

struct DatasetOptions {
  bool verify_checksums = true;  // reads every byte once, at several GB/s; off for huge datasets
};

// One split of a dataset folder, open for reading as one stream of tokens: its shards' tokens in
// manifest order. A sample of seq_len is the window of seq_len + 1 tokens that starts at token
// i * seq_len; windows span documents and shards.
class Dataset {
 public:
  // Throws Error naming the folder, split or shard that is missing or disagrees with the manifest.
  Dataset(const std::string& folder, const std::string& split, const DatasetOptions& = {});

  const Manifest& manifest() const { return manifest_; }
  const std::string& split() const { return split_; }
  std::int64_t num_tokens() const { return starts_.back(); }
  std::int64_t vocab_size() const { return manifest_.vocab_size; }
  // Whole windows; throws Error when the split is too short for one.
  std::int64_t num_samples(std::int64_t seq_len) const;
  // Tokens [first, first + out.size()) of the stream; from any number of threads.
  void read(std::int64_t first, std::span<std::int32_t> out) const;
  // The same, as they are stored (manifest().token_type): `out` holds whole tokens.
  void read_stored(std::int64_t first, std::span<std::byte> out) const;

 private:
  // Calls read(shard, first token in it, count) for each shard's part of `count` tokens.
  template <class F>
  void for_each_part(std::int64_t first, std::int64_t count, F&& read) const;

  std::string folder_, split_;
  Manifest manifest_;
  std::vector<TextShard> shards_;
  std::vector<std::int64_t> starts_{0};  // [num_shards + 1] first token of each shard, then the end
};

}  // namespace fusor
