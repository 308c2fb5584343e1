#include "io/dataset.h"

#include <algorithm>

#include "io/find_split.h"
#include "runtime/error.h"

namespace fusor {
Dataset::Dataset(const std::string& folder, const std::string& split, const DatasetOptions& options)
    : folder_(folder), split_(split), manifest_(read_manifest(folder)) {
  for (const ShardInfo& info : find_split(manifest_, folder, split).shards) {
    shards_.emplace_back(folder, info, manifest_, options.verify_checksums);
    starts_.push_back(starts_.back() + info.tokens);
  }
}

std::int64_t Dataset::num_samples(std::int64_t seq_len) const {
  require(seq_len > 0, "the sequence length must be 1 or more, not ", seq_len);
  const std::int64_t samples = (num_tokens() - 1) / seq_len;
  require(samples > 0, "split '", split_, "' of ", folder_, " has ", num_tokens(),
          " tokens, too few for one sequence of ", seq_len, " and its next token");
  return samples;
}

template <class F>
void Dataset::for_each_part(std::int64_t first, std::int64_t count, F&& read) const {
  const std::int64_t end = first + count;
  require(first >= 0 && end <= num_tokens(), "split '", split_, "' of ", folder_, " has ",
          num_tokens(), " tokens, no token ", end - 1);
  auto shard = static_cast<std::size_t>(std::upper_bound(starts_.begin(), starts_.end(), first) -
                                        starts_.begin() - 1);
  for (; first < end; ++shard) {
    const std::int64_t n = std::min(end, starts_[shard + 1]) - first;
    read(shards_[shard], first - starts_[shard], n);
    first += n;
  }
}

void Dataset::read(std::int64_t first, std::span<std::int32_t> out) const {
  for_each_part(first, std::ssize(out),
                [&](const TextShard& shard, std::int64_t at, std::int64_t n) {
                  shard.read(at, out.first(static_cast<std::size_t>(n)));
                  out = out.subspan(static_cast<std::size_t>(n));
                });
}

void Dataset::read_stored(std::int64_t first, std::span<std::byte> out) const {
  const std::int64_t width = size_of(manifest_.token_type);
  for_each_part(first, std::ssize(out) / width,
                [&](const TextShard& shard, std::int64_t at, std::int64_t n) {
                  shard.read_stored(at, out.first(static_cast<std::size_t>(n * width)));
                  out = out.subspan(static_cast<std::size_t>(n * width));
                });
}

}  // namespace fusor
