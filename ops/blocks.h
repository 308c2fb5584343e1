#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace fusor::ops {

// The elements of many arrays cut into blocks of at most kBlock, none of which crosses from one
// array into the next: arrays of any sizes share out evenly, the same way on any number of threads.
class Blocks {
 public:
  static constexpr std::int64_t kBlock = 1 << 14;

  struct Block {
    std::size_t array;
    std::int64_t begin, end;  // elements of that array
  };

  // Arrays are anything with a size().
  template <class Arrays>
  explicit Blocks(const Arrays& arrays) {
    for (const auto& array : arrays) {
      sizes_.push_back(static_cast<std::int64_t>(array.size()));
      first_.push_back(first_.back() + (sizes_.back() + kBlock - 1) / kBlock);
    }
  }
  std::int64_t count() const { return first_.back(); }
  Block operator[](std::int64_t i) const {
    const auto next = std::upper_bound(first_.begin(), first_.end(), i);
    const auto array = static_cast<std::size_t>(next - first_.begin()) - 1;
    const std::int64_t begin = (i - first_[array]) * kBlock;
    return {array, begin, std::min(begin + kBlock, sizes_[array])};
  }

 private:
  std::vector<std::int64_t> sizes_, first_{0};  // first_[i]: the first block of array i
};

}  // namespace fusor::ops
