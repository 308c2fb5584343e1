#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "runtime/random.h"

namespace fusor {

// A dataset's folder while it is made: under a temporary name beside its own, renamed when whole,
// gone with all it holds when the work is cut short by an error.
class DatasetFolder {
 public:
  // Throws Error when `output` is empty or exists.
  explicit DatasetFolder(const std::string& output);
  ~DatasetFolder();
  DatasetFolder(const DatasetFolder&) = delete;
  DatasetFolder& operator=(const DatasetFolder&) = delete;

  const std::string& path() const { return path_; }  // where its shards are written
  // Writes the manifest and gives the folder its name. The last call.
  void finish(std::string_view manifest);

 private:
  std::string output_, path_;
};

// What is held out of training, as shares in [0, 1) whose sum is below 1.
struct HeldOutShares {
  double val = 0, test = 0;
};

// Throws Error unless the shares are as they must be.
void check_shares(const HeldOutShares& shares);

// Sides of a split, drawn by the hash of what must not be torn apart: "train", "val" or "test", a
// function of seed and hash alone.
class SplitByHash {
 public:
  SplitByHash(std::uint64_t seed, const HeldOutShares& shares);
  const char* operator()(std::uint64_t hash) const;

 private:
  RandomKey key_;
  HeldOutShares shares_;
};

}  // namespace fusor
