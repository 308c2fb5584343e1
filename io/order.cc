#include "io/order.h"

#include <algorithm>
#include <bit>

#include "runtime/error.h"

namespace fusor {
namespace {

constexpr int kRounds = 8;

constexpr std::uint64_t mask(int bits) { return (std::uint64_t{1} << bits) - 1; }

}  // namespace

Permutation::Permutation(RandomKey key, std::int64_t n)
    : key_(key), n_(static_cast<std::uint64_t>(n)) {
  require(n > 0 && n <= std::int64_t{1} << 62, "cannot permute ", n, " elements");
  const int bits = std::max(4, static_cast<int>(std::bit_width(n_ - 1)));
  low_bits_ = (bits + 1) / 2;
  high_bits_ = bits / 2;
}

std::int64_t Permutation::operator()(std::int64_t i) const {
  auto x = static_cast<std::uint64_t>(i);
  do {
    std::uint64_t low = x & mask(low_bits_), high = x >> low_bits_;
    for (std::uint64_t round = 0; round < kRounds; round += 2) {
      high ^= philox(key_, low, round)[0] & mask(high_bits_);
      low ^= philox(key_, high, round + 1)[0] & mask(low_bits_);
    }
    x = high << low_bits_ | low;
  } while (x >= n_);
  return static_cast<std::int64_t>(x);
}

}  // namespace fusor
