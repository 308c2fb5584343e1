#include "io/order.h"

#include <algorithm>
#include <bit>

#include "runtime/error.h"

namespace fusor {
namespace {

constexpr int kMinBits = 8;  // with fewer, permutations of two or three elements are visibly biased

constexpr std::uint64_t mask(int bits) { return (std::uint64_t{1} << bits) - 1; }

constexpr std::uint64_t scramble(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

}  // namespace

Permutation::Permutation(RandomKey key, std::int64_t n) : n_(static_cast<std::uint64_t>(n)) {
  require(n > 0 && n <= std::int64_t{1} << 62, "cannot permute ", n, " elements");
  const int bits = std::max(kMinBits, static_cast<int>(std::bit_width(n_ - 1)));
  low_bits_ = (bits + 1) / 2;
  high_bits_ = bits / 2;
  for (std::size_t round = 0; round < keys_.size(); ++round) {
    const auto words = philox(key, round);
    keys_[round] = std::uint64_t{words[1]} << 32 | words[0];
  }
}

std::int64_t Permutation::operator()(std::int64_t i) const {
  auto x = static_cast<std::uint64_t>(i);
  do {
    std::uint64_t low = x & mask(low_bits_), high = x >> low_bits_;
    for (std::size_t round = 0; round < keys_.size(); round += 2) {
      high ^= scramble(low ^ keys_[round]) & mask(high_bits_);
      low ^= scramble(high ^ keys_[round + 1]) & mask(low_bits_);
    }
    x = high << low_bits_ | low;
  } while (x >= n_);
  return static_cast<std::int64_t>(x);
}

}  // namespace fusor
