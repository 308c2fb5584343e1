#pragma once
#include <array>
#include <cstdint>

#include "runtime/random.h"

namespace fusor {

// A pseudo-random permutation of [0, n), evaluated at a point in O(1) and without memory. A Feistel
// network permutes the next power of two; its round keys come from Philox, its round function is
// the finaliser of SplitMix64 (Steele et al., "Fast splittable pseudorandom number generators",
// OOPSLA'14). A value outside [0, n) is permuted again until it falls inside ("cycle walking":
// Black & Rogaway, "Ciphers with arbitrary finite domains", CT-RSA 2002): fewer than two steps on
// average for n > 128.
class Permutation {
 public:
  Permutation(RandomKey key, std::int64_t n);     // n in [1, 2^62]
  std::int64_t operator()(std::int64_t i) const;  // i in [0, n)

 private:
  static constexpr int kRounds = 8;
  std::uint64_t n_;
  std::array<std::uint64_t, kRounds> keys_{};
  int low_bits_ = 0, high_bits_ = 0;
};

// The order of samples is endless: position p of the run is the sample order(p % n) of epoch p / n,
// whatever the number of ranks. So a run's place in its data is one number, samples consumed.
inline Permutation epoch_order(std::uint64_t seed, std::int64_t epoch, std::int64_t n) {
  return {random_key(seed, "data/order", static_cast<std::uint64_t>(epoch)), n};
}

}  // namespace fusor
