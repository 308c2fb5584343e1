#pragma once
#include <algorithm>
#include <cstdint>
#include <unordered_map>

namespace fusor {

// What belongs together, directly or by way of others: a union of hashes.
class Groups {
 public:
  void join(std::uint64_t a, std::uint64_t b) {
    const std::uint64_t first = of(a), second = of(b);
    parent_[std::max(first, second)] = std::min(first, second);
  }
  // The group's smallest hash; of one that was never joined, itself.
  std::uint64_t of(std::uint64_t hash) const {
    for (;;) {
      const auto found = parent_.find(hash);
      if (found == parent_.end() || found->second == hash) return hash;
      hash = found->second;
    }
  }

 private:
  std::unordered_map<std::uint64_t, std::uint64_t> parent_;  // towards smaller hashes
};

}  // namespace fusor
